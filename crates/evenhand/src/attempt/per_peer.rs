//! A connector for peers that are services.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::Attempt;

/// A connector for peers whose targets are services: calls a clone of the picked peer's service.
///
/// ```
/// use evenhand::{BalanceLayer, PerPeer, Peers};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let double = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(2 * n) });
/// let peers = Peers::new([("a", double), ("b", double)])?;
/// let balance = BalanceLayer::new(peers).layer(PerPeer);
/// // From any task:
/// let task = tokio::spawn(async move { balance.clone().oneshot(21).await });
/// assert_eq!(task.await??, 42);
/// # Ok(()) }
/// ```
///
/// Services of different types are peers of one set in boxes that threads can share, as tower's
/// `BoxCloneSyncService` is and `BoxCloneService` is not:
///
/// ```
/// use evenhand::{BalanceLayer, PerPeer, Peers};
/// use tower::util::BoxCloneSyncService;
/// use tower::{ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let double = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(2 * n) });
/// let add = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n + 21) });
/// let peers = Peers::new([
///     ("double", BoxCloneSyncService::new(double)),
///     ("add", BoxCloneSyncService::new(add)),
/// ])?;
/// let balance = BalanceLayer::new(peers).service(PerPeer);
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
        PerPeerFuture {
            state: State::Ready {
                service,
                request: Some(attempt.request),
            },
        }
    }
}

pin_project! {
    /// The future of [`PerPeer`]: waits until the peer's service is ready, then for its response.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct PerPeerFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, F> {
        Ready { service: S, request: Option<R> },
        Called {
            #[pin]
            future: F,
        },
    }
}

impl<S: Service<R>, R> Future for PerPeerFuture<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                StateProj::Called { future } => return future.poll(cx),
                StateProj::Ready { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    match request.take() {
                        Some(request) => service.call(request),
                        // Only after an error, when a future is not to be polled again.
                        None => return Poll::Pending,
                    }
                }
            };
            state.set(State::Called { future });
        }
    }
}

impl<S: Service<R>, R> fmt::Debug for PerPeerFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerPeerFuture").finish_non_exhaustive()
    }
}
