//! Attempts whose ticket decides, in place of their response.
//!
//! The ticket is made while the attempt is in flight, by a connector, which knows nothing of the
//! permit. When the response comes, the permit looks for the ticket by the attempt's number, and
//! leaves the peer to it: from then on the ticket holds the place of a probe. The first of three
//! then decides: a report, the drop of the last clone, the time limit.
//!
//! An attempt without such a ticket pays one load for all this, while no other attempt on its peer
//! has one.

use std::any::Any;
use std::collections::hash_map::Entry;
#[cfg(not(evenhand_loom))]
use std::sync::Mutex;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

#[cfg(evenhand_loom)]
use loom::sync::Mutex;
use tokio::runtime::Handle;

use super::ejection::{self, Epoch};
use crate::classify::Verdict;
use crate::set::member::Deferrals;
use crate::set::peer::{InFlightPeer, Peer};
use crate::set::policies::{Policy, PolicyId};
use crate::timeouts::{Timeout, TimesOut};

/// An attempt that reported and was cancelled leaves a mark, which is swept when this many attempts
/// have followed.
const FORGOTTEN_AFTER: i32 = 1 << 16;

/// Reports on an attempt's peer, under the epoch in which it was picked.
pub(super) struct Reporter<Target> {
    pub(super) peer: InFlightPeer<Target>,
    pub(super) epoch: Epoch,
    pub(super) policy: PolicyId,
}

impl<Target> Reporter<Target> {
    pub(super) fn report(&self, verdict: &Verdict) {
        if let Some(policy) = self.policy() {
            self.report_under(verdict, &policy);
        }
    }

    fn report_under(&self, verdict: &Verdict, policy: &Policy) {
        let epoch = self.epoch.since(self.peer.member().health.read());
        ejection::settle(&self.peer, epoch, verdict, policy);
    }

    /// Counts the verdict of the response, in place of a report.
    fn respond(&self, verdict: &Verdict) {
        if let Some(policy) = self.policy() {
            ejection::settle_response(&self.peer, self.epoch, verdict, &policy);
        }
    }

    /// `None` if the peer set is gone.
    fn policy(&self) -> Option<Arc<Policy>> {
        self.peer.policy(self.policy)
    }
}

impl<Target> Clone for Reporter<Target> {
    fn clone(&self) -> Self {
        Self {
            peer: self.peer.clone(),
            epoch: self.epoch,
            policy: self.policy,
        }
    }
}

/// Who decides what an attempt says of its peer. It is decided once.
pub(super) struct Decision(Mutex<Stage>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The response has not come: its request holds the permit.
    Open,
    /// A report is being counted, and the response has not come.
    Reporting,
    /// A report is being counted. The response came meanwhile and left the permit to it.
    Left,
    /// The response came and left the permit to the ticket. Its verdict counts after the limit.
    Deferred(Verdict),
    Decided,
}

impl Decision {
    pub(super) fn new(stage: Stage) -> Self {
        Self(Mutex::new(stage))
    }

    /// The response has come. Returns the stage before: if it was `Open` or `Reporting`, the permit is
    /// the ticket's now.
    pub(super) fn defer(&self, verdict: &Verdict) -> Stage {
        self.step(|before| match before {
            Stage::Open => Stage::Deferred(*verdict),
            Stage::Reporting => Stage::Left,
            other => other,
        })
    }

    /// A report is to be counted, and then `decide` be called, if this returns `Open` or `Deferred`.
    pub(super) fn begin_report(&self) -> Stage {
        self.step(|before| match before {
            Stage::Open => Stage::Reporting,
            Stage::Deferred(_) => Stage::Decided,
            other => other,
        })
    }

    /// The caller decides, unless it was `Decided` before. Returns the stage before.
    pub(super) fn decide(&self) -> Stage {
        self.step(|_| Stage::Decided)
    }

    fn step(&self, next: impl FnOnce(Stage) -> Stage) -> Stage {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *stage;
        *stage = next(before);
        before
    }
}

/// What the clones of a ticket that decides share. Its drop is that of the last clone.
pub(super) struct Deferral<Target> {
    pub(super) reporter: Reporter<Target>,
    decision: Decision,
    /// Once the response has come: the limit, and the policy by which the peer is judged.
    deferred: OnceLock<(Timeout, Arc<Policy>)>,
}

impl<Target> Deferral<Target> {
    /// Counts the verdict, if it is the first of the attempt.
    pub(super) fn report(&self, verdict: &Verdict) {
        match self.decision.begin_report() {
            Stage::Open => {
                // Before it is decided: else a response that comes now would end a probe first.
                self.reporter.report(verdict);
                match self.decision.decide() {
                    Stage::Left => self.release(),
                    // A probe that the report did not end is still held by its request.
                    _ => self.edit(|deferrals, number| {
                        // If it is gone, the permit has it, and finds that it is decided.
                        deferrals.entry(number).and_modify(|ticket| *ticket = None);
                    }),
                }
            }
            Stage::Deferred(_) => {
                match self.deferred.get() {
                    Some((_, policy)) => self.reporter.report_under(verdict, policy),
                    // The response comes this moment.
                    None => self.reporter.report(verdict),
                }
                self.release();
            }
            Stage::Reporting | Stage::Left | Stage::Decided => {}
        }
    }

    /// Ends a probe, unless a verdict did.
    fn release(&self) {
        let Reporter { peer, epoch, .. } = &self.reporter;
        if epoch.is_probing() {
            ejection::release(peer, epoch.generation());
        }
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Deferrals, u32) -> T) -> T {
        let Reporter { peer, epoch, .. } = &self.reporter;
        let number = epoch.number();
        peer.member()
            .edit_deferrals(|deferrals| edit(deferrals, number))
    }
}

impl<Target: Send + Sync + 'static> Deferral<Target> {
    /// What the clones of this attempt's ticket share.
    pub(super) fn of(reporter: Reporter<Target>) -> Arc<Self> {
        let (peer, number) = (Peer::clone(&reporter.peer), reporter.epoch.number());
        let shared: Arc<dyn Any + Send + Sync> = peer.member().edit_deferrals(|deferrals| {
            sweep(deferrals, number);
            let entry = deferrals.entry(number);
            let stage = match &entry {
                Entry::Occupied(entry) => match entry.get() {
                    None => Stage::Decided,
                    Some(ticket) => match ticket.upgrade() {
                        Some(shared) => return shared,
                        // The last clone is being dropped.
                        None => Stage::Open,
                    },
                },
                Entry::Vacant(_) => Stage::Open,
            };
            let deferral = Arc::new(Self {
                reporter,
                decision: Decision::new(stage),
                deferred: OnceLock::new(),
            });
            if stage == Stage::Open {
                let ticket: Weak<Self> = Arc::downgrade(&deferral);
                entry.insert_entry(Some(ticket));
            }
            deferral
        });
        match shared.downcast() {
            Ok(deferral) => deferral,
            Err(_) => unreachable!("what a peer's tickets share is of the peer's type"),
        }
    }

    /// The response has come, with this verdict: what becomes of it?
    fn defer(self: Arc<Self>, verdict: &Verdict, policy: &Arc<Policy>) -> Outcome {
        match self.decision.defer(verdict) {
            Stage::Open => {}
            Stage::Reporting => return Outcome::Deferred,
            _ => return Outcome::Decided,
        }
        if Handle::try_current().is_err() {
            return match self.decision.decide() {
                Stage::Deferred(_) => Outcome::Counts,
                // A report came first, and has the permit.
                _ => Outcome::Deferred,
            };
        }
        let whose: Weak<Self> = Arc::downgrade(&self);
        let limit = policy.ticket_timeouts.begin(whose);
        let _ = self.deferred.set((limit, policy.clone()));
        Outcome::Deferred
    }
}

impl<Target> Drop for Deferral<Target> {
    fn drop(&mut self) {
        match self.decision.decide() {
            // The response's verdict counts, as if there had been no ticket.
            // Or its report panicked.
            Stage::Open | Stage::Reporting => self.edit(|deferrals, number| {
                // Unless a new ticket of the attempt was made this moment.
                if matches!(deferrals.get(&number), Some(Some(ticket)) if ticket.strong_count() == 0)
                {
                    deferrals.remove(&number);
                }
            }),
            Stage::Deferred(_) | Stage::Left => self.release(),
            Stage::Decided => {}
        }
    }
}

/// The limit has passed: the response's verdict counts.
impl<Target: Send + Sync> TimesOut for Deferral<Target> {
    fn time_out(&self) {
        if let Stage::Deferred(verdict) = self.decision.decide() {
            self.reporter.respond(&verdict);
            self.release();
        }
    }
}

/// What becomes of an attempt's outcome.
pub(super) enum Outcome {
    /// It counts.
    Counts,
    /// A ticket has decided.
    Decided,
    /// A ticket decides, and has the permit.
    Deferred,
}

/// What becomes of the outcome of an attempt that may have a ticket that decides.
#[cold]
pub(super) fn outcome<Target>(
    peer: &Peer<Target>,
    epoch: Epoch,
    verdict: &Verdict,
    policy: &Arc<Policy>,
) -> Outcome
where
    Target: Send + Sync + 'static,
{
    let (member, number) = (peer.member(), epoch.number());
    let take = |deferrals: &mut Deferrals| {
        let taken = deferrals.remove(&number);
        // If this attempt is the only one in flight, marks are of attempts that were cancelled.
        if !deferrals.is_empty() && member.in_flight.count() == 1 {
            deferrals.retain(|_, ticket| ticket.is_some());
        }
        taken
    };
    match member.edit_deferrals(take) {
        None => Outcome::Counts,
        Some(None) => Outcome::Decided,
        // Outside the lock, as it may be the last clone that is dropped here.
        Some(Some(ticket)) => match ticket.upgrade().map(Arc::downcast::<Deferral<Target>>) {
            Some(Ok(deferral)) => deferral.defer(verdict, policy),
            _ => Outcome::Counts,
        },
    }
}

/// Makes room for one more. Drops the marks of attempts that were cancelled after a report, before
/// the map would grow for them.
fn sweep(deferrals: &mut Deferrals, latest: u32) {
    if deferrals.len() == deferrals.capacity() {
        // Numbers wrap at 30 bits. One that is later than the latest is negative here.
        let age = |number: u32| (latest.wrapping_sub(number) << 2) as i32 >> 2;
        deferrals.retain(|number, ticket| ticket.is_some() || age(*number) < FORGOTTEN_AFTER);
        deferrals.reserve(deferrals.len() + 1);
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use super::*;
    use crate::set::Set;

    /// A ticket of the attempt with this number on the set's peer.
    fn ticket(set: &Set<()>, number: u32) -> Arc<Deferral<()>> {
        let peer = set.snapshot().peers()[0].clone();
        Deferral::of(Reporter {
            peer: InFlightPeer::new(peer),
            epoch: Epoch::up(0, number),
            policy: PolicyId::FIRST,
        })
    }

    fn set() -> (Set<()>, Peer<()>) {
        let set = Set::new(None);
        let peers = [("a".into(), Some(()))];
        set.update(crate::set::ledger::Join::AtOnce, peers, false, |(), ()| {
            false
        })
        .unwrap();
        let peer = set.snapshot().peers()[0].clone();
        (set, peer)
    }

    #[test]
    fn marks_of_cancelled_attempts_are_swept() {
        let (set, peer) = set();
        let waits = ticket(&set, 0);
        // Past the 30 bits of a number, so that numbers wrap.
        for number in (1..u32::MAX).step_by(1 << 14) {
            ticket(&set, number).report(&Verdict::down());
            let entries = peer.member().edit_deferrals(|deferrals| deferrals.len());
            assert!(entries < 32, "{entries}");
        }
        let kept = peer.member().edit_deferrals(|deferrals| deferrals.clone());
        assert!(kept[&0].is_some());
        drop(waits);
    }

    #[test]
    fn next_attempt_alone_removes_the_marks() {
        let (set, peer) = set();
        ticket(&set, 0).report(&Verdict::down());
        let waits = ticket(&set, 1);
        let policy = Arc::new(Policy {
            eject: crate::eject::Eject::default(),
            rng: crate::rng::Rng::seeded(0),
            ticket_timeouts: crate::timeouts::Timeouts::new(std::time::Duration::ZERO),
        });
        ticket(&set, 2).report(&Verdict::down());
        let next = |number| {
            let (peer, _) = InFlightPeer::numbered(peer.clone());
            assert!(matches!(
                outcome(&peer, Epoch::up(0, number), &Verdict::healthy(), &policy),
                Outcome::Counts
            ));
            peer.member().edit_deferrals(|deferrals| deferrals.len())
        };
        // The marks may be of attempts in flight.
        assert_eq!(next(3), 3);
        drop(waits);
        assert_eq!(next(4), 0);
        assert!(!peer.member().has_deferrals());
    }

    #[test]
    fn dropped_tickets_leave_nothing() {
        let (set, peer) = set();
        let tickets = [1, 1, 2].map(|number| ticket(&set, number));
        assert!(peer.member().has_deferrals());
        drop(tickets);
        assert!(!peer.member().has_deferrals());
        assert_eq!(peer.member().in_flight.count(), 0);
    }
}
