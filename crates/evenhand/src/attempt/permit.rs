//! An attempt's permit: acquired with the pick, released with the verdict.
//!
//! A permit remembers the epoch in which its peer was picked, so that a verdict on an older state
//! changes nothing. The permit of a probe is the only one of its peer, and is released on drop: a
//! probe that is cancelled at any await point leaves the peer due for the next one.

use std::sync::Arc;

use super::deferral::{Outcome, outcome};
use super::ejection::{self, Epoch};
use crate::classify::Verdict;
use crate::set::peer::{InFlightPeer, Peer};
use crate::set::policies::Policy;

/// Held by an attempt from its pick to its verdict.
pub(crate) struct AttemptPermit<Target> {
    peer: InFlightPeer<Target>,
    epoch: Epoch,
}

impl<Target> AttemptPermit<Target> {
    /// A permit on this peer, if it is up.
    #[inline]
    pub(crate) fn enter(peer: Peer<Target>) -> Option<Self> {
        // Counted before the word is read: see `InFlight`.
        let (peer, number) = InFlightPeer::numbered(peer);
        let generation = peer.member().health.generation_if_up()?;
        let epoch = Epoch::up(generation, number);
        Some(Self { peer, epoch })
    }

    /// A permit to probe this peer, if it is due.
    pub(crate) fn claim(peer: Peer<Target>) -> Option<Self> {
        // Counted before it is claimed, so that a drain in between waits for the probe.
        let (peer, number) = InFlightPeer::numbered(peer);
        let epoch = Epoch::probing(peer.claim()?.generation, number);
        Some(Self { peer, epoch })
    }

    /// A permit on this peer, if it is out.
    pub(crate) fn open(peer: Peer<Target>) -> Option<Self> {
        let (peer, number) = InFlightPeer::numbered(peer);
        let epoch = Epoch::open(peer.member().health.generation_if_out()?, number);
        Some(Self { peer, epoch })
    }

    #[inline]
    pub(crate) fn peer(&self) -> &Peer<Target> {
        &self.peer
    }

    #[inline]
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Applies a `Healthy` verdict, if the peer was up when it was picked: now, or with the attempt's
    /// ticket, if it has one that decides. Returns whether it did.
    #[inline]
    pub(crate) fn settle_healthy(&self, verdict: &Verdict, policy: &Arc<Policy>) -> bool
    where
        Target: Send + Sync + 'static,
    {
        if !self.epoch.is_up() {
            return false;
        }
        let counts = !self.peer.member().has_deferrals()
            || matches!(
                outcome(&self.peer, self.epoch, verdict, policy),
                Outcome::Counts
            );
        if counts {
            ejection::note_healthy(&self.peer, self.epoch.generation(), policy);
        }
        true
    }

    /// Leaves the outcome to the attempt's ticket, if it has one that decides. Otherwise, returns the
    /// permit: the outcome counts.
    pub(crate) fn defer(mut self, verdict: &Verdict, policy: &Arc<Policy>) -> Option<Self>
    where
        Target: Send + Sync + 'static,
    {
        if !self.peer.member().has_deferrals() {
            return Some(self);
        }
        match outcome(&self.peer, self.epoch, verdict, policy) {
            Outcome::Counts => return Some(self),
            Outcome::Decided => {}
            // The ticket releases a probe.
            Outcome::Deferred => self.epoch = self.epoch.without_probe(),
        }
        None
    }

    /// Releases the permit with what was learnt of the peer.
    pub(crate) fn settle(self, verdict: &Verdict, policy: &Policy) {
        ejection::settle_response(&self.peer, self.epoch, verdict, policy);
    }
}

impl<Target> Drop for AttemptPermit<Target> {
    #[inline]
    fn drop(&mut self) {
        if self.epoch.is_probing() {
            ejection::release(&self.peer, self.epoch.generation());
        }
    }
}
