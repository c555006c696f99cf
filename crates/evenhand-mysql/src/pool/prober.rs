//! The balancer's probe: of ejected peers, and of those that are up.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{PeerVerdict, State, Verdict};
use tower_service::Service;

use crate::endpoint::Peer;

/// Checks the peer, and says what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prober {
    /// A peer that is up and was heard within this time is not asked again, unless the probe asks
    /// for more than traffic tells. Checkouts are not all there is: a connection that is held for
    /// an hour, and works, proves its peer as well.
    pub(crate) heard_within: Option<Duration>,
}

impl Service<Peer> for Prober {
    type Response = Verdict;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer) -> Self::Future {
        let heard_within = self.heard_within;
        Box::pin(async move {
            if peer.state() != State::Up {
                return Ok(peer.check_up().await);
            }
            let proved = heard_within.is_some_and(|time| peer.was_heard_within(time));
            if proved && !peer.check.asks_more_than_traffic() {
                return Ok(Verdict::healthy());
            }
            let verdict = peer.check_up().await;
            Ok(match verdict.peer {
                // Says nothing of the peer: this host's shortage, or a password that no peer may
                // take. A peer that is up stays so; for the balancer a probe passes or fails.
                PeerVerdict::Neutral | PeerVerdict::Suspect => Verdict::healthy(),
                _ => verdict,
            })
        })
    }
}
