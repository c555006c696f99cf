//! The balancer as a service.

use std::fmt;
use std::task::{Context, Poll};

use tower_service::Service;

use super::future::ResponseFuture;
use super::rules::{Rules, RulesFor};
use super::shared::{Handle, Shared};
use crate::attempt::Attempt;
use crate::error::Error;
use crate::peers::Peers;

/// Sends each request to a peer of the set, and to another one where the first failed and the
/// verdict allows it. Made by [`BalanceLayer`](crate::BalanceLayer).
///
/// The service is always ready: the [`ResponseFuture`] picks the peer and waits for the connector,
/// on a clone of it. So it can be cloned freely, needs no `Buffer` and cannot lose readiness. It
/// exerts no backpressure: put a `ConcurrencyLimit` or `LoadShed` above it.
///
/// It is a `Service<Request>` if the `Connector` is a cloneable `Service<Attempt<Target, Request>>`
/// and the [`Rules`] fit its requests and outcomes. Its error is [`Error`] of the connector's error.
pub struct Balance<Connector, Target, R = Rules> {
    connector: Connector,
    handle: Handle<Target, R>,
    calls: Calls,
}

/// How many calls a clone has had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    None,
    One,
    /// And the clone has a reference count of its own.
    Many,
}

impl<Connector, Target, R> Balance<Connector, Target, R> {
    pub(super) fn from_shared(connector: Connector, shared: Shared<Target, R>) -> Self {
        Self {
            connector,
            handle: Handle::new(shared),
            calls: Calls::None,
        }
    }

    /// The connector.
    pub fn get_ref(&self) -> &Connector {
        &self.connector
    }

    /// The connector of this clone.
    pub fn get_mut(&mut self) -> &mut Connector {
        &mut self.connector
    }

    /// Takes the connector out.
    pub fn into_inner(self) -> Connector {
        self.connector
    }

    /// The peers that this service balances over.
    pub fn peers(&self) -> &Peers<Target> {
        &self.handle.peers
    }

    #[cold]
    #[inline(never)]
    fn own_handle(&mut self) {
        self.calls = Calls::Many;
        self.handle = self.handle.own();
    }
}

impl<Connector, Target, R, Request> Service<Request> for Balance<Connector, Target, R>
where
    Connector: Service<Attempt<Target, Request>> + Clone,
    Target: Send + Sync + 'static,
    R: RulesFor<Request, Connector::Response, Connector::Error>,
{
    type Response = Connector::Response;
    type Error = Error<Connector::Error>;
    type Future = ResponseFuture<Connector, Target, Request, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        match self.calls {
            Calls::None => self.calls = Calls::One,
            Calls::One => self.own_handle(),
            Calls::Many => {}
        }
        if let Some(prober) = &self.handle.prober {
            prober.keep_running();
        }
        ResponseFuture::new(self.handle.clone(), self.connector.clone(), request)
    }
}

impl<Connector: Clone, Target, R> Clone for Balance<Connector, Target, R> {
    fn clone(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            handle: self.handle.clone(),
            calls: Calls::None,
        }
    }
}

impl<Connector, Target, R> fmt::Debug for Balance<Connector, Target, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("peers", self.peers())
            .finish_non_exhaustive()
    }
}
