//! One attempt: a request on its way to one peer, and what its outcome does to the peer. Knows of
//! the set, but of no request's history and no balancer.

pub(crate) mod asked;
pub(crate) mod chooser;
mod deferral;
pub(crate) mod ejection;
#[cfg(test)]
#[cfg(evenhand_loom)]
mod loom;
mod per_peer;
pub(crate) mod permit;
mod slow_start;
mod target;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use self::deferral::{Deferral, Reporter};
use self::ejection::Epoch;
use crate::classify::Verdict;
use crate::set::health::{Phase, Reading};
use crate::set::peer::{InFlightPeer, Peer};
use crate::set::policies::PolicyId;

pub use self::per_peer::{PerPeer, PerPeerFuture};
pub use self::target::PeerTarget;

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

    /// An attempt on this peer that no balancer makes, for tests of a connector. It is not counted as in
    /// flight, and no outcome of it is judged, but its tickets work: what they report counts as for an
    /// attempt that picked the peer now, by the first balancer over the set.
    ///
    /// ```
    /// use evenhand::{Attempt, Peers};
    /// use tower::{ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let connector = service_fn(async |attempt: Attempt<String, u32>| {
    ///     Ok::<_, std::io::Error>(format!("{} to {}", attempt.request, *attempt.peer))
    /// });
    /// let peers = Peers::new([("a", "10.0.0.1".to_owned())])?;
    /// for peer in peers.iter() {
    ///     assert_eq!(connector.oneshot(Attempt::detached(peer, 7)).await?, "7 to 10.0.0.1");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn detached(peer: Peer<Target>, request: Request) -> Self {
        let (peer, number) = InFlightPeer::numbered(peer);
        let now = peer.member().health.read();
        let epoch = match now.phase {
            Phase::Ejected | Phase::Probing => Epoch::open(now.generation, number),
            Phase::Up | Phase::Draining => Epoch::up(now.generation, number),
        };
        Self::new(Peer::clone(&peer), epoch, request, PolicyId::FIRST, false)
    }

    /// The same attempt with another request, for a connector over a connector.
    ///
    /// ```
    /// use evenhand::{Attempt, Peers};
    ///
    /// # let peers = Peers::new([("a", "10.0.0.1:80")])?;
    /// # let attempt = Attempt::detached(peers.iter().next().unwrap(), "/users");
    /// // An attempt to send a path to a peer becomes one to send a URL.
    /// let peer = attempt.peer.clone();
    /// let attempt = attempt.map(|path| format!("http://{}{path}", *peer));
    /// assert_eq!(attempt.request, "http://10.0.0.1:80/users");
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    pub fn map<R>(self, map: impl FnOnce(Request) -> R) -> Attempt<Target, R> {
        Attempt {
            peer: self.peer,
            request: map(self.request),
            epoch: self.epoch,
            policy: self.policy,
            second_pass: self.second_pass,
        }
    }

    /// The request, and the attempt without it, for a connector that makes a ticket when the response comes.
    ///
    /// ```
    /// use evenhand::{Attempt, Peers, Verdict};
    ///
    /// # let peers = Peers::new([("a", "10.0.0.1:80")])?;
    /// # let attempt = Attempt::detached(peers.iter().next().unwrap(), "/users");
    /// let (attempt, request) = attempt.into_parts();
    /// assert_eq!(request, "/users");
    /// attempt.ticket().report(Verdict::healthy());
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    pub fn into_parts(self) -> (Attempt<Target, ()>, Request) {
        let attempt = Attempt {
            peer: self.peer,
            request: (),
            epoch: self.epoch,
            policy: self.policy,
            second_pass: self.second_pass,
        };
        (attempt, self.request)
    }

    /// A ticket for an outcome that comes after the response: a connection that the caller gets may
    /// fail an hour later. While the ticket lives, the attempt counts as in flight.
    ///
    /// The response counts as well: its verdict and each that the ticket reports. Where the response
    /// says little, as the head of a stream does, take a [`deciding_ticket`](Self::deciding_ticket).
    pub fn ticket(&self) -> Ticket<Target> {
        Ticket(Kind::Plain(self.reporter()))
    }

    /// A ticket that decides about the peer in place of the response: the attempt counts once, with
    /// the first verdict that the ticket or a clone of it reports. For responses that say little, as
    /// the head of a stream whose body may break.
    ///
    /// The response's own verdict still says whether the request goes to another peer. But the
    /// attempt counts neither as a success nor as a failure, and a probe keeps its peer, until the
    /// first of these:
    ///
    /// - A report. One that comes before the response counts at once. All after the first are
    ///   ignored.
    /// - The last clone is dropped without a report, after the response: the outcome is neutral, and
    ///   a probe's peer is due again. If it is dropped before the response, the response's own verdict
    ///   counts, as if there had been no ticket.
    /// - The response came [`ticket_timeout`](crate::BalanceLayer::ticket_timeout) ago: its own verdict
    ///   counts. If there is no tokio runtime to measure that, it counts when the response comes.
    ///
    /// If the response is [`Suspect`](crate::PeerVerdict::Suspect), the peer has refused the request as
    /// any other, but no other peer decides about this one.
    ///
    /// Take the ticket before the response comes. Further calls return clones of it. If the request is
    /// cancelled before the response, a probe ends, as always, and of another attempt the first
    /// report counts.
    pub fn deciding_ticket(&self) -> Ticket<Target>
    where
        Target: Send + Sync + 'static,
    {
        Ticket(Kind::Deciding(Deferral::of(self.reporter())))
    }

    fn reporter(&self) -> Reporter<Target> {
        Reporter {
            peer: InFlightPeer::new(self.peer.clone()),
            epoch: self.epoch,
            policy: self.policy,
        }
    }

    /// Whether this attempt is the probe that finds out whether its ejected peer is back.
    pub fn is_probe(&self) -> bool {
        self.epoch.is_probing()
    }

    /// Whether the request has tried every peer that is up, and now comes back to one that it left
    /// with [`Retry::Busy`](crate::Retry::Busy). It comes back to each once, so a connector that can
    /// wait for room should wait in this attempt. True from then on, also after the request has waited.
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

/// Reports what is learnt about an attempt's peer after the response. Made by [`Attempt::ticket`] and
/// [`Attempt::deciding_ticket`].
///
/// A verdict reported here follows the same rule as any other: if the peer changed its state since
/// the attempt was picked, the verdict is ignored. While a ticket or a clone of it lives, the
/// attempt is in flight, and a drain waits for it.
#[must_use = "the attempt counts as in flight only while the ticket lives"]
pub struct Ticket<Target>(Kind<Target>);

enum Kind<Target> {
    Plain(Reporter<Target>),
    Deciding(Arc<Deferral<Target>>),
}

impl<Target> Ticket<Target> {
    /// The attempt's peer.
    pub fn peer(&self) -> &Peer<Target> {
        &self.reporter().peer
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
            let mut notified = pin!(self.peer().member().changed().notified());
            // Listens before it looks, so that no ejection falls between the two.
            notified.as_mut().enable();
            let now = self.peer().member().health.read();
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
        let now = self.peer().member().health.read();
        self.is_of_the_past(now) || !matches!(now.phase, Phase::Up | Phase::Probing)
    }

    fn is_of_the_past(&self, now: Reading) -> bool {
        now.generation != self.reporter().epoch.since(now).generation()
    }

    /// Reports an outcome of the peer. The verdict's `retry` is ignored, and `Neutral` and `Suspect`
    /// say nothing of the peer, as the request cannot go to another one any more.
    pub fn report(&self, verdict: Verdict) {
        match &self.0 {
            Kind::Plain(reporter) => reporter.report(&verdict),
            Kind::Deciding(deferral) => deferral.report(&verdict),
        }
    }

    fn reporter(&self) -> &Reporter<Target> {
        match &self.0 {
            Kind::Plain(reporter) => reporter,
            Kind::Deciding(deferral) => &deferral.reporter,
        }
    }
}

impl<Target> Clone for Ticket<Target> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Plain(reporter) => Kind::Plain(reporter.clone()),
            Kind::Deciding(deferral) => Kind::Deciding(deferral.clone()),
        })
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
