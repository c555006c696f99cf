//! The registry of a set: the lock under which peers change state, and what follows from a change.
//!
//! Transitions are rare. Each takes the lock, changes the peer's [`Health`](super::health) word,
//! notes when the peer is due and queues the event, in that order. So due times, counts and events
//! agree with the words. The registry knows nothing of the peers' type, so that a peer can hold it.
//!
//! Picks do not take the lock. They read one number, [`Registry::needs_look`]: it tells whether an
//! ejected peer may be due for a probe or the [snapshot](super::snapshot) is out of date.
//! While all peers are up, it is `NEVER`, and a pick reads no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::health::{Phase, Reading};
use super::member::Member;
use super::policies::Policies;
use crate::event::{CAPACITY, Event, EventKind};

/// The snapshot is made anew when more than one in this many peers that it offers are out.
const STALE_SHARE: usize = 8;

/// No pick needs to look.
const NEVER: u64 = u64::MAX;

/// The next pick is to look, whatever the time.
const NOW: u64 = 0;

pub(crate) struct Registry {
    ledger: Mutex<Ledger>,
    /// When the next pick is to look: nanoseconds since `epoch`, or `NOW` or `NEVER`.
    look_at: AtomicU64,
    epoch: Instant,
    up: AtomicUsize,
    events: broadcast::Sender<Event>,
    /// Woken when a request that found no peer should look again.
    pub(crate) available: Arc<Notify>,
    /// Woken when a peer was ejected, so that background probers look when it is due.
    pub(crate) ejected: Arc<Notify>,
    pub(crate) policies: Policies,
}

/// What the lock protects.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) next_id: u64,
    pub(crate) members: usize,
    up: usize,
    /// Of each peer that is ejected or being probed.
    records: BTreeMap<u64, Record>,
    /// The peers that are ejected, the one that is due first before the others.
    due: BTreeSet<(Instant, u64)>,
    /// How many tasks probe ejected peers in the background. If there is one, picks leave ejected
    /// peers to it.
    probers: usize,
    /// How many peers the snapshot offers to picks, and how many of them are out.
    offered: usize,
    stale: usize,
    /// The snapshot lacks a peer that is up, has an old weight, or offers too many that are out.
    refresh: bool,
}

/// What the set knows of a peer that is out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// When its next probe is due, if the peer is ejected.
    pub(crate) due: Instant,
    /// An operator ejected the peer, so it is not probed before it is due.
    pub(crate) manual: bool,
}

/// How many peers are up, of how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) up: usize,
    pub(crate) members: usize,
}

/// A transition that took place.
pub(crate) enum Change {
    /// It is worth an event.
    Event(EventKind),
    /// Only the snapshot is out of date.
    Weight,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            ledger: Mutex::default(),
            look_at: AtomicU64::new(NEVER),
            epoch: Instant::now(),
            up: AtomicUsize::new(0),
            events: broadcast::Sender::new(CAPACITY),
            available: Arc::default(),
            ejected: Arc::default(),
            policies: Policies::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How many peers are up.
    pub(crate) fn up(&self) -> usize {
        self.up.load(Ordering::Acquire)
    }

    /// Whether a pick must look at the clock or the snapshot before it draws.
    #[inline]
    pub(crate) fn needs_look(&self) -> bool {
        self.look_at.load(Ordering::Relaxed) != NEVER
    }

    /// Whether the snapshot is to be made anew.
    pub(crate) fn needs_refresh(&self) -> bool {
        self.look_at.load(Ordering::Relaxed) == NOW
    }

    /// Whether some ejected peer is due to be probed by a pick.
    pub(crate) fn any_due(&self) -> bool {
        let look_at = self.look_at.load(Ordering::Relaxed);
        look_at != NEVER && look_at <= self.since_epoch(Instant::now())
    }

    /// Whether this member is ejected and due.
    pub(crate) fn is_due(&self, member: &Member) -> bool {
        let ledger = self.lock();
        let record = ledger.records.get(&member.id);
        let is_due = record.is_some_and(|record| record.due <= Instant::now());
        is_due && member.health.read().phase == Phase::Ejected
    }

    /// The ids of the peers that are due to be probed by a pick.
    pub(crate) fn due_for_picks(&self) -> Vec<u64> {
        let ledger = self.lock();
        if ledger.probers > 0 {
            return Vec::new();
        }
        ledger.due_by(Instant::now()).collect()
    }

    /// The ids of the peers that are due to be probed in the background, and when the next one is.
    pub(crate) fn due_for_probers(&self) -> (Vec<u64>, Option<Instant>) {
        let (ledger, now) = (self.lock(), Instant::now());
        let due: Vec<u64> = ledger.due_by(now).collect();
        let next = ledger
            .due
            .iter()
            .map(|(due, _)| *due)
            .find(|due| *due > now);
        (due, next)
    }

    /// When the next ejected peer is due, if one is ejected.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.lock().due.first().map(|(due, _)| *due)
    }

    /// When the next ejected peer is due to be probed by a pick. Peers in `tried` that are due
    /// already do not count.
    pub(crate) fn next_due_for_picks(&self, tried: &[u64]) -> Option<Instant> {
        let (ledger, now) = (self.lock(), Instant::now());
        let mut due = ledger.due.iter().filter(|_| ledger.probers == 0);
        let next = due.find(|(due, id)| *due > now || !tried.contains(id));
        next.map(|(due, _)| *due)
    }

    /// The ids of the ejected peers that may be probed early, the one that is due first before the
    /// others.
    pub(crate) fn due_soonest(&self) -> Vec<u64> {
        let ledger = self.lock();
        let may = |id: &u64| ledger.records.get(id).is_some_and(|record| !record.manual);
        ledger.due.iter().map(|(_, id)| *id).filter(may).collect()
    }

    /// A task probes ejected peers in the background from now on.
    pub(crate) fn add_prober(&self) {
        let mut ledger = self.lock();
        ledger.probers += 1;
        self.publish(&ledger);
    }

    /// That task has ended.
    pub(crate) fn remove_prober(&self) {
        let mut ledger = self.lock();
        ledger.probers -= 1;
        self.publish(&ledger);
        drop(ledger);
        // Requests that wait may have to probe for themselves.
        self.available.notify_waiters();
    }

    /// Takes one transition of one member: `step` changes the health word and the record, or
    /// declines with `None`. Runs under the lock, so it calls no code of a user. Says whether the
    /// transition took place; a member that was removed takes none.
    pub(crate) fn change(
        &self,
        member: &Member,
        step: impl FnOnce(&mut Option<Record>, Counts) -> Option<Change>,
    ) -> bool {
        let mut ledger = self.lock();
        if member.is_removed() {
            return false;
        }
        let counts = Counts {
            up: ledger.up,
            members: ledger.members,
        };
        let was_up = member.health.read().phase == Phase::Up;
        let before = ledger.records.get(&member.id).copied();
        let mut record = before;
        let Some(change) = step(&mut record, counts) else {
            return false;
        };
        let phase = member.health.read().phase;
        ledger.set_record(member.id, before, record, phase == Phase::Ejected);
        let is_up = phase == Phase::Up;
        ledger.up = ledger.up + usize::from(is_up) - usize::from(was_up);
        if member.is_offered() {
            ledger.stale = ledger.stale + usize::from(was_up) - usize::from(is_up);
        }
        ledger.refresh |= matches!(change, Change::Weight)
            || (is_up && !member.is_offered())
            || ledger.stale * STALE_SHARE > ledger.offered;
        self.publish(&ledger);
        let event = match change {
            Change::Event(kind) => Some(Event::now(&member.name, kind)),
            Change::Weight => None,
        };
        event.iter().for_each(|event| self.send(event));
        drop(ledger);

        if let Change::Event(kind) = change {
            self.wake(member, kind);
        }
        event.iter().for_each(Event::trace);
        true
    }

    /// Wakes all that a transition concerns.
    fn wake(&self, member: &Member, kind: EventKind) {
        match kind {
            EventKind::ProbeStarted => return,
            EventKind::Ejected { .. } | EventKind::ProbeFailed { .. } => {
                member.wake();
                self.ejected.notify_waiters();
            }
            EventKind::ProbeAbandoned => {
                // Out still, and no longer by this probe: holders of its tickets must know.
                member.wake();
                self.ejected.notify_waiters();
            }
            _ => {}
        }
        self.available.notify_waiters();
    }

    /// Claims the probe of an ejected member, if it is due or `early` is set. A member that an
    /// operator ejected is not claimed early.
    pub(crate) fn claim(&self, member: &Member, early: bool) -> Option<Reading> {
        let mut claimed = None;
        self.change(member, |record, _| {
            let record = (*record)?;
            let may = record.due <= Instant::now() || (early && !record.manual);
            claimed = may.then(|| member.health.claim()).flatten();
            claimed.map(|_| Change::Event(EventKind::ProbeStarted))
        });
        claimed
    }

    /// When each of these members is due, if it is ejected.
    pub(crate) fn due_times<'a>(
        &self,
        members: impl Iterator<Item = &'a Member>,
    ) -> Vec<Option<Instant>> {
        let ledger = self.lock();
        let due = |member: &Member| ledger.records.get(&member.id).map(|record| record.due);
        members.map(due).collect()
    }

    /// Lets the caller change the membership or the snapshot.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        // The ledger is whole between any two statements that could panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets picks see what has changed in the ledger.
    pub(crate) fn publish(&self, ledger: &Ledger) {
        let due = ledger.due.first().filter(|_| ledger.probers == 0);
        let look_at = match due {
            _ if ledger.refresh => NOW,
            // `NOW` is reserved.
            Some((due, _)) => self.since_epoch(*due).max(1),
            None => NEVER,
        };
        self.look_at.store(look_at, Ordering::Release);
        self.up.store(ledger.up, Ordering::Release);
    }

    pub(crate) fn send(&self, event: &Event) {
        if self.events.receiver_count() > 0 {
            // Fails only if the last reader has just gone.
            let _ = self.events.send(event.clone());
        }
    }

    /// Below `NEVER` for 584 years.
    fn since_epoch(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.epoch);
        let whole = since.as_secs().saturating_mul(1_000_000_000);
        whole
            .saturating_add(u64::from(since.subsec_nanos()))
            .min(NEVER - 1)
    }
}

impl Ledger {
    /// The peers that are due at `now`, the one that has been due longest before the others.
    fn due_by(&self, now: Instant) -> impl Iterator<Item = u64> {
        let due = self.due.iter().take_while(move |(due, _)| *due <= now);
        due.map(|(_, id)| *id)
    }

    fn set_record(
        &mut self,
        id: u64,
        before: Option<Record>,
        after: Option<Record>,
        ejected: bool,
    ) {
        if let Some(before) = before {
            self.due.remove(&(before.due, id));
            self.records.remove(&id);
        }
        if let Some(after) = after {
            self.records.insert(id, after);
            if ejected {
                self.due.insert((after.due, id));
            }
        }
    }

    /// A member joined, up.
    pub(crate) fn join(&mut self) {
        self.members += 1;
        self.up += 1;
    }

    /// The member leaves, in whatever state it is. It is `Draining` from then on, so that holders
    /// of its tickets learn nothing more of it.
    pub(crate) fn leave(&mut self, member: &Member) {
        self.members -= 1;
        self.up -= usize::from(member.health.read().phase == Phase::Up);
        let record = self.records.get(&member.id).copied();
        self.set_record(member.id, record, None, false);
        member.health.drain();
        member.set_removed();
    }

    /// The snapshot is up to date.
    pub(crate) fn refreshed(&mut self) {
        self.offered = self.up;
        self.stale = 0;
        self.refresh = false;
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_removed_member_takes_no_transition() {
        let registry = Registry::new();
        let member = Member::new(0, "a".into());
        registry.lock().join();
        registry.lock().leave(&member);
        let before = member.health.read();
        let took_place = registry.change(&member, |record, _| {
            member.health.restore()?;
            *record = None;
            Some(Change::Event(EventKind::Restored))
        });
        assert!(!took_place);
        assert_eq!(member.health.read(), before);
        assert_eq!(registry.up(), 0);
    }
}
