//! The peer that made a response, for the caller.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use evenhand::Attempt;
use http::Response;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// The name of the peer that made a response: an extension of the response, which
/// [`PeerNameLayer`] adds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerName(pub Arc<str>);

/// Adds the peer's [`PeerName`] to the extensions of each response. Goes below the balancer, above
/// the connector.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerNameLayer;

impl<S> Layer<S> for PeerNameLayer {
    type Service = TellPeerName<S>;

    fn layer(&self, connector: S) -> TellPeerName<S> {
        TellPeerName { connector }
    }
}

/// A connector whose responses tell their peer; made by [`PeerNameLayer`].
#[derive(Clone, Copy, Debug)]
pub struct TellPeerName<S> {
    connector: S,
}

impl<S, Target, Request, B> Service<Attempt<Target, Request>> for TellPeerName<S>
where
    S: Service<Attempt<Target, Request>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TellPeerNameFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt<Target, Request>) -> Self::Future {
        TellPeerNameFuture {
            name: Some(PeerName(attempt.peer.shared_name())),
            future: self.connector.call(attempt),
        }
    }
}

pin_project! {
    /// The future of [`TellPeerName`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct TellPeerNameFuture<F> {
        #[pin]
        future: F,
        name: Option<PeerName>,
    }
}

impl<F, B, E> Future for TellPeerNameFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        if let Some(name) = this.name.take() {
            response.extensions_mut().insert(name);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for TellPeerNameFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TellPeerNameFuture").finish_non_exhaustive()
    }
}
