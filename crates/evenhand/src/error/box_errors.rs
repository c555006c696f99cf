//! A layer that boxes a service's errors.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::boxed::BoxedError;

/// Makes a service's errors [`BoxedError`]s, which are errors, in place of boxes, which are none.
///
/// It belongs between a balancer and a layer whose errors are boxed, such as tower's `Timeout` or
/// `ConcurrencyLimit`:
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use evenhand::{Attempt, BalanceLayer, BoxErrorsLayer, BoxedError, Peers, Verdict, on_error};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let peers = Peers::new([("a", "10.0.0.1".to_owned()), ("b", "10.0.0.2".to_owned())])?;
/// let classify = on_error(|error: &BoxedError| match error.downcast_ref::<io::Error>() {
///     Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => Verdict::down().safe(),
///     _ => Verdict::degraded().if_idempotent(),
/// });
/// let balance = ServiceBuilder::new()
///     .layer(BalanceLayer::new(peers).classify(classify))
///     .layer(BoxErrorsLayer)
///     .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(2)))
///     .service(service_fn(async |attempt: Attempt<String, ()>| match attempt.peer.as_str() {
///         "10.0.0.1" => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
///         at => Ok(at.to_owned()),
///     }));
/// assert_eq!(balance.oneshot(()).await?, "10.0.0.2");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BoxErrorsLayer;

impl<S> Layer<S> for BoxErrorsLayer {
    type Service = BoxErrors<S>;

    fn layer(&self, inner: S) -> BoxErrors<S> {
        BoxErrors { inner }
    }
}

/// A service whose errors are boxed. Made by [`BoxErrorsLayer`].
#[derive(Clone, Copy, Debug)]
pub struct BoxErrors<S> {
    inner: S,
}

impl<S> BoxErrors<S> {
    /// Boxes the errors of `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }

    /// The service within.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service within.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the service out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Request> Service<Request> for BoxErrors<S>
where
    S: Service<Request>,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = S::Response;
    type Error = BoxedError;
    type Future = BoxErrorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxedError>> {
        self.inner.poll_ready(cx).map_err(BoxedError::new)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        BoxErrorsFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`BoxErrors`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct BoxErrorsFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, T, E> Future for BoxErrorsFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    type Output = Result<T, BoxedError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx).map_err(BoxedError::new)
    }
}
