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
use crate::policy::{Policy, PolicyId};
use crate::replay::Replay;
use crate::roster::Roster;

/// What the clones of one balancer share.
pub(crate) struct Shared<P, C, Y, K> {
    pub(crate) peers: Peers<P>,
    pub(crate) classify: C,
    pub(crate) replay: Y,
    pub(crate) pick: K,
    pub(crate) policy: Arc<Policy<P>>,
    pub(crate) policy_id: PolicyId,
    pub(crate) all_down: AllDown,
    pub(crate) checker: Option<Arc<Checker<P>>>,
}

impl<P, C, Y, K> Drop for Shared<P, C, Y, K> {
    fn drop(&mut self) {
        self.peers.set.policies.remove(self.policy_id);
    }
}

/// What the requests of one clone share, so that they count references where no other clone's do.
pub(crate) struct Handle<P, C, Y, K> {
    pub(crate) shared: Arc<Shared<P, C, Y, K>>,
    /// Empty until the clone is known to be used more than once.
    pub(crate) roster: Arc<Roster<P>>,
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
    handle: Arc<Handle<P, C, Y, K>>,
    stage: Stage,
}

/// How far a clone has come. A clone that serves one request, as many do, shares the handle of the
/// one that it was cloned from; one that serves another makes its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Used,
    /// Has a handle of its own, and the checks to keep running.
    Checking,
    /// Has a handle of its own.
    Settled,
}

impl<S, P, C, Y, K> Balance<S, P, C, Y, K> {
    pub(crate) fn new(connector: S, shared: Shared<P, C, Y, K>) -> Self {
        let handle = Handle {
            shared: Arc::new(shared),
            roster: Roster::new(Vec::new()),
        };
        Self {
            connector,
            handle: Arc::new(handle),
            stage: Stage::New,
        }
    }

    /// The peers it balances over.
    pub fn peers(&self) -> &Peers<P> {
        &self.handle.shared.peers
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
        if self.stage != Stage::Settled || self.handle.roster.is_replaced() {
            self.settle();
        }
        ResponseFuture::new(self.handle.clone(), self.connector.clone(), request)
    }
}

impl<S, P, C, Y, K> Balance<S, P, C, Y, K> {
    /// Comes one stage further; at last, to the present roster.
    #[cold]
    fn settle(&mut self)
    where
        P: Send + Sync + 'static,
    {
        if let Some(checker) = &self.handle.shared.checker {
            checker.keep_running();
        }
        match self.stage {
            Stage::New => self.stage = Stage::Used,
            Stage::Checking if !self.handle.roster.is_replaced() => {}
            Stage::Used | Stage::Checking | Stage::Settled => {
                let shared = self.handle.shared.clone();
                let roster = shared.peers.set.view().roster.clone();
                self.stage = match shared.checker {
                    Some(_) => Stage::Checking,
                    None => Stage::Settled,
                };
                self.handle = Arc::new(Handle { shared, roster });
            }
        }
    }
}

impl<S: Clone, P, C, Y, K> Clone for Balance<S, P, C, Y, K> {
    fn clone(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            handle: self.handle.clone(),
            stage: Stage::New,
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
