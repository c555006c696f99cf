//! One request on its way to one peer.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use crate::classify::Verdict;
use crate::health::Phase;
use crate::peers::Peer;
use crate::place::{Place, Standing, settle};
use crate::probe::Policy;

/// What the connector is called with: a request, and the peer it is for.
#[non_exhaustive]
pub struct Attempt<P, R> {
    /// The peer that was picked; dereferences to what was given for it.
    pub peer: Peer<P>,
    /// The caller's request.
    pub request: R,
    standing: Standing,
    policy: Arc<Policy<P>>,
}

impl<P, R> Attempt<P, R> {
    pub(crate) fn new(place: &Place<P>, request: R, policy: &Arc<Policy<P>>) -> Self {
        Self {
            peer: Peer(place.member().clone()),
            request,
            standing: place.standing(),
            policy: policy.clone(),
        }
    }

    /// For outcomes that come later than the response: a connection that is handed out may fail an
    /// hour on.
    pub fn ticket(&self) -> Ticket<P> {
        Ticket {
            peer: self.peer.clone(),
            standing: self.standing,
            policy: self.policy.clone(),
        }
    }

    /// Whether this attempt is the one that finds out whether its ejected peer is back.
    pub fn is_probe(&self) -> bool {
        self.standing.probing
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
/// peer's latest change of state is ignored.
pub struct Ticket<P> {
    peer: Peer<P>,
    standing: Standing,
    policy: Arc<Policy<P>>,
}

impl<P> Ticket<P> {
    /// The attempt's peer.
    pub fn peer(&self) -> &Peer<P> {
        &self.peer
    }

    /// Resolves once the peer has been ejected since the attempt was picked (at once, if it was
    /// already), so that work that waits on a lost peer ends then and not at its own time limit.
    ///
    /// Cancel-safe. Never resolves if the peer set is dropped first.
    pub async fn ejected(&self) {
        let member = &self.peer.0;
        loop {
            let mut notified = pin!(member.ejected.notified());
            // Listens before it looks, so that no ejection falls between the two.
            notified.as_mut().enable();
            if self.is_stale() {
                return;
            }
            notified.await;
        }
    }

    /// Whether the peer has changed its state since the attempt was picked, other than by this
    /// attempt's own success: then a verdict given now changes nothing.
    pub fn is_stale(&self) -> bool {
        let now = self.peer.0.health.read();
        now.generation != self.standing.since(now).generation
            || !matches!(now.phase, Phase::Up | Phase::Probing)
    }
}

impl<P: Send + Sync + 'static> Ticket<P> {
    /// Tells what was learnt of the peer. `Neutral` and `Suspect` tell nothing here, as no other
    /// peer can be asked any more, and the verdict's `retry` is not looked at.
    pub fn report(&self, verdict: Verdict) {
        let standing = self.standing.since(self.peer.0.health.read());
        settle(&self.peer.0, standing, &verdict, &self.policy);
    }
}

impl<P> Clone for Ticket<P> {
    fn clone(&self) -> Self {
        Self {
            peer: self.peer.clone(),
            standing: self.standing,
            policy: self.policy.clone(),
        }
    }
}

impl<P> fmt::Debug for Ticket<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("peer", &self.peer)
            .field("stale", &self.is_stale())
            .finish_non_exhaustive()
    }
}
