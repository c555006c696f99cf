//! Reads small answers within their attempt, so that one whose body breaks off can be asked for elsewhere.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::keep::DEFAULT_KEPT_BYTES;
use super::kept::{KeptBody, Rest};
use crate::classify::BrokenBody;

/// The most frames that are read of a body. One of more is streamed.
const MAX_FRAMES: usize = 1024;

/// Reads small answers to their end before the attempt ends. Goes below [`PeerClient`](crate::PeerClient).
///
/// So an answer whose body breaks off is an attempt that failed: an idempotent request goes to another peer.
/// The time limit of the attempt covers the body, too, and finds a peer that stops within it. Without this
/// layer the attempt ends with the head, and the caller gets the error.
///
/// A service below it whose errors are boxes, such as one of tower's timeout, needs a
/// [`BoxErrorsLayer`](evenhand::BoxErrorsLayer) between the two, as a box is no error that can be judged.
///
/// A body of more than the [`limit`](Self::limit) is handed over once that much was read, and the rest is streamed. A
/// response that sends its body bit by bit, such as an event stream, comes late or not at all: for those,
/// use a client without this layer.
///
/// ```no_run
/// use std::time::Duration;
/// use evenhand_http::{CollectBodyLayer, KeepBodyLayer, PeerClient};
/// use tower::ServiceBuilder;
///
/// # #[cfg(feature = "client")]
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let peers = evenhand_http::peers(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])?;
/// let collecting = ServiceBuilder::new()
///     .layer(CollectBodyLayer::new())
///     .service(evenhand_http::client::<http_body_util::Full<bytes::Bytes>>());
/// let service = ServiceBuilder::new()
///     .layer(KeepBodyLayer::new())
///     .layer(evenhand_http::balance(peers).attempt_timeout(Duration::from_secs(2)))
///     .service(PeerClient::new(collecting));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct CollectBodyLayer {
    limit: u64,
}

impl CollectBodyLayer {
    /// Reads bodies of up to [`DEFAULT_KEPT_BYTES`].
    pub const fn new() -> Self {
        Self {
            limit: DEFAULT_KEPT_BYTES,
        }
    }

    /// The most bytes of a body that are read within the attempt. Default: [`DEFAULT_KEPT_BYTES`].
    pub const fn limit(self, bytes: u64) -> Self {
        Self { limit: bytes }
    }
}

impl Default for CollectBodyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for CollectBodyLayer {
    type Service = CollectBody<S>;

    fn layer(&self, service: S) -> CollectBody<S> {
        CollectBody {
            service,
            limit: self.limit,
        }
    }
}

/// Reads small answers to their end before the attempt ends; made by [`CollectBodyLayer`].
#[derive(Clone, Copy, Debug)]
pub struct CollectBody<S> {
    service: S,
    limit: u64,
}

impl<S, A, B> Service<Request<A>> for CollectBody<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<KeptBody<B>>;
    type Error = CollectBodyError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx).map_err(CollectBodyError::Head)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (future, limit) = (self.service.call(request), self.limit);
        Box::pin(async move {
            let (head, body) = future.await.map_err(CollectBodyError::Head)?.into_parts();
            let collected = collect(body, limit).await;
            let broken = |error| CollectBodyError::Body(BrokenBody(error));
            Ok(Response::from_parts(head, collected.map_err(broken)?))
        })
    }
}

async fn collect<B>(body: B, limit: u64) -> Result<KeptBody<B>, Box<dyn Error + Send + Sync>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let promised = body.size_hint().lower();
    let mut body = Box::pin(body);
    let (mut frames, mut bytes) = (Vec::new(), 0u64);
    for _ in 0..MAX_FRAMES {
        if bytes.saturating_add(body.size_hint().lower()) > limit {
            break;
        }
        let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await else {
            // hyper ends a body so, too, that the peer cuts short without an error. The answer to a HEAD may
            // tell a length and have no body.
            if bytes < promised && !body.is_end_stream() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            return Ok(KeptBody::new(frames, None, Rest::Nothing));
        };
        match frame.map_err(Into::into)?.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                bytes = bytes.saturating_add(data.len() as u64);
                frames.push(data);
            }
            Err(frame) => {
                let trailers = frame.into_trailers().ok();
                return Ok(KeptBody::new(frames, trailers, Rest::Nothing));
            }
        }
    }
    Ok(KeptBody::new(frames, None, Rest::Stream(body)))
}

/// Why an attempt failed whose answer was read within it.
#[derive(Debug)]
#[non_exhaustive]
pub enum CollectBodyError<E> {
    /// There was no head.
    Head(E),
    /// The body broke off.
    Body(BrokenBody),
}

impl<E> fmt::Display for CollectBodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(_) => f.write_str("no head of a response came"),
            Self::Body(broken) => broken.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for CollectBodyError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Head(error) => error,
            Self::Body(broken) => broken,
        })
    }
}
