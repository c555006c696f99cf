//! The balancer as a service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::attempt::Attempt;
use crate::check::Checker;
use crate::classify::Classify;
use crate::error::Error;
use crate::future::ResponseFuture;
use crate::layer::AllDown;
use crate::peers::Peers;
use crate::pick::{Pick, Uniform};
use crate::policy::Policy;
use crate::replay::Replay;

/// What the clones of one balancer share.
pub(crate) struct Shared<P, C, Y, K> {
    pub(crate) peers: Peers<P>,
    pub(crate) classify: C,
    pub(crate) replay: Y,
    pub(crate) pick: K,
    pub(crate) policy: Arc<Policy<P>>,
    pub(crate) all_down: AllDown,
    pub(crate) checker: Option<Arc<Checker<P>>>,
}

/// Sends each request to a peer of the set, and to another where the first one failed and the
/// verdict allows it. Made by [`BalanceLayer`](crate::BalanceLayer).
///
/// It is always ready: the pick, and waiting for the connector to be ready, happen inside the
/// [`ResponseFuture`], on a clone of the connector. So it can be cloned freely, needs no `Buffer`,
/// and cannot lose readiness. It exerts no backpressure of its own: put a `ConcurrencyLimit` or
/// `LoadShed` above it.
pub struct Balance<S, P, C, Y, K = Uniform> {
    connector: S,
    shared: Arc<Shared<P, C, Y, K>>,
}

impl<S, P, C, Y, K> Balance<S, P, C, Y, K> {
    pub(crate) fn new(connector: S, shared: Shared<P, C, Y, K>) -> Self {
        Self {
            connector,
            shared: Arc::new(shared),
        }
    }

    /// The peers it balances over.
    pub fn peers(&self) -> &Peers<P> {
        &self.shared.peers
    }
}

impl<S, P, C, Y, K, R> Service<R> for Balance<S, P, C, Y, K>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = ResponseFuture<S, P, R, C, Y, K>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        if let Some(checker) = &self.shared.checker {
            checker.keep_running();
        }
        ResponseFuture::new(self.shared.clone(), self.connector.clone(), request)
    }
}

impl<S: Clone, P, C, Y, K> Clone for Balance<S, P, C, Y, K> {
    fn clone(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S, P, C, Y, K> fmt::Debug for Balance<S, P, C, Y, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("peers", self.peers())
            .finish_non_exhaustive()
    }
}
