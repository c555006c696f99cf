//! The balancer's background probe of an ejected peer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use evenhand::Verdict;
use tower_service::Service;

use crate::check::check;
use crate::classify;
use crate::endpoint::Peer;

/// Checks the peer, and says what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prober;

impl Service<Peer> for Prober {
    type Response = Verdict;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer) -> Self::Future {
        Box::pin(async move {
            let checked = check(peer.opts(), peer.attempt_timeout).await;
            Ok(checked.map_or_else(|error| classify::attempt(&error), |()| Verdict::healthy()))
        })
    }
}
