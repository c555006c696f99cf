//! One request on its way to one peer.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use crate::classify::Verdict;
use crate::health::{Phase, Reading};
use crate::peer::{Occupied, Peer};
use crate::place::{Standing, settle};
use crate::policy::{Policy, PolicyId};

/// What the connector is called with: a request, and the peer it is for.
#[non_exhaustive]
pub struct Attempt<P, R> {
    /// The peer that was picked; dereferences to what was given for it.
    pub peer: Peer<P>,
    /// The caller's request.
    pub request: R,
    standing: Standing,
    policy: PolicyId,
    comes_back: bool,
}

impl<P, R> Attempt<P, R> {
    #[inline]
    pub(crate) fn new(peer: Peer<P>, standing: Standing, request: R, policy: PolicyId) -> Self {
        Self {
            peer,
            request,
            standing,
            policy,
            comes_back: false,
        }
    }

    pub(crate) fn coming_back(self) -> Self {
        Self {
            comes_back: true,
            ..self
        }
    }

    /// For outcomes that come later than the response: a connection that is handed out may fail an
    /// hour on. While it lives, the attempt counts as in flight.
    pub fn ticket(&self) -> Ticket<P> {
        Ticket {
            member: Occupied::new(self.peer.clone()),
            standing: self.standing,
            policy: self.peer.0.policy(self.policy),
        }
    }

    /// Whether this attempt is the one that finds out whether its ejected peer is back.
    pub fn is_probe(&self) -> bool {
        self.standing.probing
    }

    /// Whether the request has been at every peer that could be of use, and comes back to those it
    /// left with [`Retry::Again`](crate::Retry::Again). It does so once: here is the place to wait.
    pub fn comes_back(&self) -> bool {
        self.comes_back
    }
}

impl<P, R: fmt::Debug> fmt::Debug for Attempt<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("peer", &self.peer)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A share in an attempt, for what is learnt of its peer after the response.
///
/// Verdicts that are given here fall under the same rule as all others: what is older than the
/// peer's latest change of state is ignored. While a ticket or a clone of it lives, the attempt is
/// in flight: a drain waits for it.
pub struct Ticket<P> {
    member: Occupied<P>,
    standing: Standing,
    /// `None` if the peer set was gone already.
    policy: Option<Arc<Policy<P>>>,
}

impl<P> Ticket<P> {
    /// The attempt's peer.
    pub fn peer(&self) -> &Peer<P> {
        self.member.peer()
    }

    /// Resolves once the peer has been ejected since the attempt was picked (at once, if it was
    /// already), so that work that waits on a lost peer ends then and not at its own time limit.
    /// Draining or removing the peer is no ejection.
    ///
    /// Cancel-safe. Never resolves if the peer set is dropped first.
    pub async fn ejected(&self) {
        loop {
            let mut notified = pin!(self.member.changed().notified());
            // Listens before it looks, so that no ejection falls between the two.
            notified.as_mut().enable();
            let now = self.member.health.read();
            let out = matches!(now.phase, Phase::Ejected | Phase::Due);
            if out || (self.is_of_the_past(now) && now.phase != Phase::Draining) {
                return;
            }
            notified.await;
        }
    }

    /// Whether the peer is no longer what it was when the attempt was picked, other than by this
    /// attempt's own success: it was ejected since, or is being drained. Then a verdict given now
    /// changes nothing.
    pub fn is_stale(&self) -> bool {
        let now = self.member.health.read();
        self.is_of_the_past(now) || !matches!(now.phase, Phase::Up | Phase::Probing)
    }

    fn is_of_the_past(&self, now: Reading) -> bool {
        now.generation != self.standing.since(now).generation
    }
}

impl<P: Send + Sync + 'static> Ticket<P> {
    /// Tells what was learnt of the peer. `Neutral` and `Suspect` tell nothing here, as no other
    /// peer can be asked any more, and the verdict's `retry` is not looked at.
    pub fn report(&self, verdict: Verdict) {
        if let Some(policy) = &self.policy {
            let standing = self.standing.since(self.member.health.read());
            settle(self.member.member(), standing, &verdict, policy);
        }
    }
}

impl<P> Clone for Ticket<P> {
    fn clone(&self) -> Self {
        Self {
            member: self.member.clone(),
            standing: self.standing,
            policy: self.policy.clone(),
        }
    }
}

impl<P> fmt::Debug for Ticket<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("peer", self.peer())
            .field("stale", &self.is_stale())
            .finish_non_exhaustive()
    }
}
