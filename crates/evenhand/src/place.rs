//! An attempt's place on a peer: taken with the pick, given back with the verdict.
//!
//! A place remembers the generation that the peer was picked under, so that a verdict on an older
//! state changes nothing. The place of a probe is the only one of its peer, and is freed on drop:
//! a probe that is cancelled at any await point leaves the peer due for the next one.

use std::sync::Arc;
use std::time::Duration;

use crate::book::{Change, Record};
use crate::classify::{PeerVerdict, Verdict};
use crate::eject::within_bounds;
use crate::event::EventKind;
use crate::health::{Health, Phase, Reading};
use crate::member::Member;
use crate::peer::{Occupied, Peer};
use crate::pick::{Pick, choose, choose_any, running_weights};
use crate::policy::Policy;
use crate::probe::Alarm;
use crate::random::Random;
use crate::roster::Entered;
use crate::set::Set;
use crate::view::View;

/// What a peer was when it was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) generation: u32,
    pub(crate) probing: bool,
}

impl Standing {
    #[inline]
    pub(crate) fn of_a_peer_that_is_up(generation: u32) -> Self {
        Self {
            generation,
            probing: false,
        }
    }

    /// The standing that an outcome counts under now: a probe that brought its peer back belongs
    /// to the state that it brought about.
    pub(crate) fn since(self, now: Reading) -> Self {
        let recovered = self.probing
            && now.phase == Phase::Up
            && now.generation == self.generation.wrapping_add(1);
        if recovered {
            Self {
                generation: now.generation,
                probing: false,
            }
        } else {
            self
        }
    }
}

/// Held by an attempt from its pick to its verdict.
pub(crate) struct Place<P> {
    member: Occupied<P>,
    generation: u32,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not a probe's.
    Plain,
    /// A probe's, and no verdict was given yet.
    OpenProbe,
    /// A probe's, with its verdict.
    Probed,
}

impl<P> Place<P> {
    /// The same that stands without the roster.
    pub(crate) fn of(entered: Entered<'_, P>) -> Self {
        Self {
            member: Occupied::counted(Peer(entered.member.clone())),
            generation: entered.keep().generation,
            stage: Stage::Plain,
        }
    }

    /// Tells of a `Healthy` outcome, unless the place is a probe's. Says whether it did.
    #[inline]
    pub(crate) fn settle_healthy(&self, policy: &Policy<P>) -> bool {
        let plain = self.stage == Stage::Plain;
        if plain {
            note_healthy(&self.member, self.generation, policy);
        }
        plain
    }

    /// A request's first pick where nothing is due, of a peer that is up. `None` if it needs more
    /// thought.
    pub(crate) fn pick_at_once<K: Pick>(set: &Set<P>, pick: &K, random: &Random) -> Option<Self> {
        let view = set.view();
        if K::UNIFORM {
            return view.roster.enter(random).map(Self::of);
        }
        if view.untimed || !view.due.is_empty() {
            return None;
        }
        let member = choose_any(pick, random, &view.roster, &view.up, &view.weights)?;
        // Counted before its word is read: see `InFlight`.
        let member = Occupied::new(Peer(member.clone()));
        let now = member.health.read();
        // Otherwise it is taken out this moment.
        (now.phase == Phase::Up).then(|| Self::on(member, now, false))
    }

    /// Picks a peer that is not in `excluded`: a due one to probe if this is the request's first
    /// attempt, else one that is up, else a due one.
    pub(crate) fn pick<K: Pick>(
        set: &Set<P>,
        pick: &K,
        random: &Random,
        excluded: &[u32],
    ) -> Option<Self> {
        let mut view = set.view();
        if view.untimed {
            set.ripen_overdue(false);
            view = set.view();
        }
        if excluded.is_empty()
            && !view.due.is_empty()
            && let Some(place) = Self::probe_due(&view, pick, random, excluded)
        {
            return Some(place);
        }
        if let Some(place) = Self::pick_of(view, set, pick, random, excluded) {
            return Some(place);
        }
        set.ripen_overdue(true);
        Self::probe_due(&set.view(), pick, random, excluded)
    }

    /// Picks a peer that is up and not in `excluded`.
    pub(crate) fn pick_up<K: Pick>(
        set: &Set<P>,
        pick: &K,
        random: &Random,
        excluded: &[u32],
    ) -> Option<Self> {
        Self::pick_of(set.view(), set, pick, random, excluded)
    }

    fn pick_of<K: Pick>(
        mut view: arc_swap::Guard<Arc<View<P>>>,
        set: &Set<P>,
        pick: &K,
        random: &Random,
        excluded: &[u32],
    ) -> Option<Self> {
        while let Some(member) = choose(
            pick,
            random,
            &view.roster,
            &view.up,
            &view.weights,
            excluded,
        ) {
            // Counted before its word is read: see `InFlight`.
            let member = Occupied::new(Peer(member));
            let now = member.health.read();
            if now.phase == Phase::Up {
                return Some(Self::on(member, now, false));
            }
            // It is taken out this moment; the view that says so is about to be published.
            view = set.settled_view();
        }
        None
    }

    /// The place of a probe on one of the due peers.
    fn probe_due<K: Pick>(
        view: &View<P>,
        pick: &K,
        random: &Random,
        excluded: &[u32],
    ) -> Option<Self> {
        let View { roster, due, .. } = view;
        if due.is_empty() {
            return None;
        }
        let weights = running_weights(roster, due);
        let mut passed = excluded.to_vec();
        while let Some(member) = choose(pick, random, roster, due, &weights, &passed) {
            let member = Occupied::new(Peer(member));
            // Others see the same view: look before taking the lock.
            if member.health.read().phase == Phase::Due
                && let Some(now) = member.claim(false)
            {
                return Some(Self::on(member, now, true));
            }
            passed.push(member.id);
        }
        None
    }

    /// The place of a probe before its time, on the ejected peer that is due soonest.
    pub(crate) fn last_resort(set: &Set<P>, excluded: &[u32]) -> Option<Self> {
        let member = Occupied::new(Peer(set.due_soonest(excluded)?));
        let now = member.claim(true)?;
        Some(Self::on(member, now, true))
    }

    pub(crate) fn on(member: Occupied<P>, now: Reading, probing: bool) -> Self {
        let stage = if probing {
            Stage::OpenProbe
        } else {
            Stage::Plain
        };
        Self {
            member,
            generation: now.generation,
            stage,
        }
    }

    pub(crate) fn member(&self) -> &Arc<Member<P>> {
        self.member.member()
    }

    pub(crate) fn peer(&self) -> &Peer<P> {
        self.member.peer()
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing {
            generation: self.generation,
            probing: self.stage != Stage::Plain,
        }
    }
}

impl<P: Send + Sync + 'static> Place<P> {
    /// Gives the place back with what was learnt of the peer.
    pub(crate) fn settle(mut self, verdict: &Verdict, policy: &Arc<Policy<P>>) {
        let standing = self.standing().since(self.member.health.read());
        let told = settle(self.member.member(), standing, verdict, policy);
        if told && self.stage == Stage::OpenProbe {
            self.stage = Stage::Probed;
        }
    }
}

impl<P> Drop for Place<P> {
    #[inline]
    fn drop(&mut self) {
        if self.stage == Stage::OpenProbe {
            release(&self.member, self.generation);
        }
    }
}

#[cold]
fn release<P>(member: &Member<P>, generation: u32) {
    member.change(|_, _| {
        let released = member.health.release(generation);
        released.map(|_| Change::Told(EventKind::ProbeAbandoned))
    });
}

/// A `Healthy` outcome of an attempt that was no probe.
#[inline]
pub(crate) fn note_healthy<P>(member: &Member<P>, generation: u32, policy: &Policy<P>) {
    member.note_proved();
    policy.eject.note_healthy(member, generation);
}

/// Applies a verdict, if it is not stale. Says whether it told anything of the peer.
pub(crate) fn settle<P: Send + Sync + 'static>(
    member: &Arc<Member<P>>,
    standing: Standing,
    verdict: &Verdict,
    policy: &Arc<Policy<P>>,
) -> bool {
    let Standing {
        generation,
        probing,
    } = standing;
    if verdict.peer != PeerVerdict::Healthy {
        member.note_failure();
    }
    match (verdict.peer, probing) {
        (PeerVerdict::Neutral | PeerVerdict::Suspect, _) => return false,
        (PeerVerdict::Healthy, false) => note_healthy(member, generation, policy),
        (PeerVerdict::Healthy, true) => recover(member, generation),
        (PeerVerdict::Degraded | PeerVerdict::Down, false) => {
            if policy.eject.note_failed(member, generation, verdict) {
                take_out(member, |health| health.eject(generation), verdict, policy);
            }
        }
        (PeerVerdict::Degraded | PeerVerdict::Down, true) => {
            take_out(member, |health| health.fail(generation), verdict, policy);
        }
    }
    true
}

fn recover<P>(member: &Member<P>, generation: u32) {
    member.change(|record, _| {
        member.health.recover(generation)?;
        member.note_proved();
        member.forget();
        *record = Record::default();
        Some(Change::Told(EventKind::Recovered))
    });
}

/// Ejects a peer that was up, or keeps one out whose probe failed, and sees to its next probe.
fn take_out<P: Send + Sync + 'static>(
    member: &Arc<Member<P>>,
    transition: impl FnOnce(&Health) -> Option<Reading>,
    verdict: &Verdict,
    policy: &Arc<Policy<P>>,
) {
    let mut alarm = None;
    member.change(|record, counts| {
        if member.health.read().phase == Phase::Up && policy.eject.must_keep(counts) {
            return None;
        }
        let now = transition(&member.health)?;
        let probe_in = match verdict.recover_in {
            Some(interval) => within_bounds(interval),
            None => policy.eject.interval(now.count, &policy.random),
        };
        *record = Record::due_in(probe_in, policy.probe.is_some());
        alarm = record.alarm(now.generation);
        let reason = verdict.reason;
        Some(Change::Told(if now.count == 1 {
            EventKind::Ejected { reason, probe_in }
        } else {
            EventKind::ProbeFailed { reason, probe_in }
        }))
    });
    // Outside the lock: a runtime that is shutting down drops the timer at once, and the timer's
    // drop takes the lock.
    if let Some((generation, due)) = alarm {
        Alarm::set(member, generation, due, Some(policy));
    }
}

/// Ejects a peer that was up and whose checks failed, unless too few would be left.
pub(crate) fn eject_checked<P: Send + Sync + 'static>(
    member: &Arc<Member<P>>,
    generation: u32,
    verdict: &Verdict,
    policy: &Arc<Policy<P>>,
) {
    take_out(member, |health| health.eject(generation), verdict, policy);
}

/// Ejects a peer by an operator's hand, whatever its state.
pub(crate) fn hold<P: Send + Sync + 'static>(
    member: &Arc<Member<P>>,
    time: Duration,
    policy: Option<&Arc<Policy<P>>>,
) -> bool {
    let mut alarm = None;
    let held = member.change(|record, _| {
        let now = member.health.hold()?;
        let probe_in = within_bounds(time);
        let background = policy.is_some_and(|policy| policy.probe.is_some());
        *record = Record::due_in(probe_in, background);
        record.by_hand = true;
        alarm = record.alarm(now.generation);
        let reason = Some("by hand");
        Some(Change::Told(EventKind::Ejected { reason, probe_in }))
    });
    if let Some((generation, due)) = alarm {
        Alarm::set(member, generation, due, policy);
    }
    held
}
