//! One attempt: a request on its way to one peer, and what its outcome does to the peer. Knows of
//! the set, but of no request's history and no balancer.

pub(crate) mod asked;
pub(crate) mod chooser;
pub(crate) mod ejection;
mod per_peer;
pub(crate) mod permit;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use self::ejection::{Epoch, settle};
use crate::classify::Verdict;
use crate::set::health::{Phase, Reading};
use crate::set::peer::{InFlightPeer, Peer};
use crate::set::policies::{Policy, PolicyId};

pub use self::per_peer::{PerPeer, PerPeerFuture};

/// What a connector is called with: a request, and the peer to send it to.
#[non_exhaustive]
pub struct Attempt<Target, Request> {
    /// The peer that was picked; dereferences to its target.
    pub peer: Peer<Target>,
    /// The caller's request.
    pub request: Request,
    epoch: Epoch,
    policy: PolicyId,
    second_pass: bool,
}

impl<Target, Request> Attempt<Target, Request> {
    #[inline]
    pub(crate) fn new(
        peer: Peer<Target>,
        epoch: Epoch,
        request: Request,
        policy: PolicyId,
        second_pass: bool,
    ) -> Self {
        Self {
            peer,
            request,
            epoch,
            policy,
            second_pass,
        }
    }

    /// A ticket for an outcome that comes after the response: a connection that the caller gets may
    /// fail an hour later. While the ticket lives, the attempt counts as in flight.
    pub fn ticket(&self) -> Ticket<Target> {
        Ticket {
            peer: InFlightPeer::new(self.peer.clone()),
            epoch: self.epoch,
            policy: self.peer.policy(self.policy),
        }
    }

    /// Whether this attempt is the probe that finds out whether its ejected peer is back.
    pub fn is_probe(&self) -> bool {
        self.epoch.is_probing()
    }

    /// Whether the request has tried every peer that is up, and now comes back to one that it left
    /// with [`Retry::Busy`](crate::Retry::Busy). It comes back to each once, so a connector that can
    /// wait for room should wait in this attempt.
    pub fn is_second_pass(&self) -> bool {
        self.second_pass
    }
}

impl<Target, Request: fmt::Debug> fmt::Debug for Attempt<Target, Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("peer", &self.peer)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// Reports what is learnt about an attempt's peer after the response. Made by [`Attempt::ticket`].
///
/// A verdict reported here follows the same rule as any other: if the peer changed its state since
/// the attempt was picked, the verdict is ignored. While a ticket or a clone of it lives, the
/// attempt is in flight, and a drain waits for it.
#[must_use = "the attempt counts as in flight only while the ticket lives"]
pub struct Ticket<Target> {
    peer: InFlightPeer<Target>,
    epoch: Epoch,
    /// `None` if the peer set was gone already.
    policy: Option<Arc<Policy>>,
}

impl<Target> Ticket<Target> {
    /// The attempt's peer.
    pub fn peer(&self) -> &Peer<Target> {
        &self.peer
    }

    /// Resolves once the peer has been ejected since the attempt was picked; at once, if it was
    /// already. Lets work that waits for a lost peer end before its time limit.
    ///
    /// Draining or removing the peer is no ejection, and hides an ejection that came before it and was
    /// not waited for. Never resolves if the peer set is dropped first.
    ///
    /// # Cancel safety
    ///
    /// Cancel-safe: the ejection is found by the next call.
    pub async fn ejected(&self) {
        loop {
            let mut notified = pin!(self.peer.member().changed().notified());
            // Listens before it looks, so that no ejection falls between the two.
            notified.as_mut().enable();
            let now = self.peer.member().health.read();
            let ejected = now.phase == Phase::Ejected;
            if ejected || (self.is_of_the_past(now) && now.phase != Phase::Draining) {
                return;
            }
            notified.await;
        }
    }

    /// Whether the peer's state has changed since the attempt was picked, other than by this
    /// attempt's own success: it was ejected, or is being drained. A verdict reported now is
    /// ignored.
    pub fn is_stale(&self) -> bool {
        let now = self.peer.member().health.read();
        self.is_of_the_past(now) || !matches!(now.phase, Phase::Up | Phase::Probing)
    }

    fn is_of_the_past(&self, now: Reading) -> bool {
        now.generation != self.epoch.since(now).generation()
    }

    /// Reports an outcome of the peer. The verdict's `retry` is ignored, and `Neutral` and `Suspect`
    /// have no effect, as the request cannot go to another peer any more.
    pub fn report(&self, verdict: Verdict) {
        if let Some(policy) = &self.policy {
            let epoch = self.epoch.since(self.peer.member().health.read());
            settle(&self.peer, epoch, &verdict, policy);
        }
    }
}

impl<Target> Clone for Ticket<Target> {
    fn clone(&self) -> Self {
        Self {
            peer: self.peer.clone(),
            epoch: self.epoch,
            policy: self.policy.clone(),
        }
    }
}

impl<Target> fmt::Debug for Ticket<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("peer", self.peer())
            .field("stale", &self.is_stale())
            .finish_non_exhaustive()
    }
}
