//! The balancer's probe, of ejected peers and of peers that are up.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{State, Verdict};
use tower_service::Service;

use crate::classify::is_full;
use crate::peer::Peer;

/// Checks a peer and gives the verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prober {
    /// A peer that is up and was heard within this time is not checked, unless the probe asks for more
    /// than traffic shows. The balancer sees checkouts only; a connection that is held for an hour and
    /// works shows that the peer works as well.
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
            let heard = || heard_within.is_some_and(|time| peer.traffic.was_heard_within(time));
            let is_up = peer.state() == State::Up;
            if is_up && !peer.check.is_asked_for() && heard() {
                return Ok(Verdict::healthy());
            }
            let verdict = peer.run_check().await;
            // It works, and comes back with room for what is open. Whether it is writable, say, a refused
            // login does not tell.
            if is_full(&verdict) && !is_up && !peer.check.is_asked_for() {
                peer.note_full(None);
                return Ok(Verdict::healthy());
            }
            Ok(verdict)
        })
    }
}
