//! A connector for peers that are services.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::Attempt;

/// A connector that calls the target of the peer, which is a service.
///
/// ```
/// use evenhand::{BalanceLayer, PerPeer, Peers};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let double = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(2 * n) });
/// let peers = Peers::new([("a", double), ("b", double)])?;
/// let balance = BalanceLayer::new(peers).layer(PerPeer);
/// assert_eq!(balance.oneshot(21).await?, 42);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PerPeer;

impl<S, R> Service<Attempt<S, R>> for PerPeer
where
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = PerPeerFuture<S, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Which peer's readiness? It is waited for once the peer is picked.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<S, R>) -> Self::Future {
        let service = S::clone(&attempt.peer);
        PerPeerFuture::Ready {
            service,
            request: Some(attempt.request),
        }
    }
}

pin_project! {
    /// Waits until the peer's service is ready, then for its response.
    #[project = PerPeerProj]
    #[must_use = "futures do nothing unless they are polled"]
    pub enum PerPeerFuture<S, R>
    where
        S: Service<R>,
    {
        #[doc(hidden)]
        Ready { service: S, request: Option<R> },
        #[doc(hidden)]
        Called {
            #[pin]
            future: S::Future,
        },
    }
}

impl<S: Service<R>, R> fmt::Debug for PerPeerFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerPeerFuture").finish_non_exhaustive()
    }
}

impl<S: Service<R>, R> Future for PerPeerFuture<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let future = match self.as_mut().project() {
                PerPeerProj::Called { future } => return future.poll(cx),
                PerPeerProj::Ready { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    match request.take() {
                        Some(request) => service.call(request),
                        // Only after an error, when a future is not to be polled again.
                        None => return Poll::Pending,
                    }
                }
            };
            self.set(Self::Called { future });
        }
    }
}
