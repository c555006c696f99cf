//! Keeps the bodies of requests, so that they can be sent to another peer.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::kept::{KeptBody, Rest};

/// The most bytes of a body that are kept, unless [`KeepBodyLayer::limit`] says otherwise: 64 KiB.
pub const DEFAULT_KEPT_BYTES: u64 = 64 * 1024;

/// The most frames that are read at once. A body of more is streamed.
const MAX_FRAMES: usize = 1024;

/// Keeps the bodies of requests for another attempt. Goes above the balancer.
///
/// Reading has no time limit here, and the balancer's `deadline` begins after it: a limit for slow callers
/// goes above.
///
/// - A body that is empty is sent again at no cost.
/// - A body whose length is known and within the [`limit`](Self::limit) is read to its end, before the
///   request goes to its first peer.
/// - Of a body whose length is unknown, what is there at once is read. If that is all of it, and
///   within the limit, it is kept: so is the body of a unary call of gRPC.
/// - Any other body is streamed: sent as it comes, to one peer.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct KeepBodyLayer {
    limit: u64,
}

impl KeepBodyLayer {
    /// Keeps bodies of up to [`DEFAULT_KEPT_BYTES`].
    pub const fn new() -> Self {
        Self {
            limit: DEFAULT_KEPT_BYTES,
        }
    }

    /// The most bytes of a body that are kept; with 0 only empty bodies are. Default:
    /// [`DEFAULT_KEPT_BYTES`].
    pub const fn limit(self, bytes: u64) -> Self {
        Self { limit: bytes }
    }
}

impl Default for KeepBodyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for KeepBodyLayer {
    type Service = KeepBody<S>;

    fn layer(&self, service: S) -> KeepBody<S> {
        KeepBody {
            service,
            limit: self.limit,
        }
    }
}

/// Keeps the bodies of requests for another attempt; made by [`KeepBodyLayer`].
#[derive(Clone, Copy, Debug)]
pub struct KeepBody<S> {
    service: S,
    limit: u64,
}

impl<S> KeepBody<S> {
    /// The service below.
    pub fn get_ref(&self) -> &S {
        &self.service
    }
}

impl<S, B> Service<Request<B>> for KeepBody<S>
where
    S: Service<Request<KeptBody<B>>> + Clone,
    B: Body<Data = Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = KeepBodyFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let step = if request.body().is_end_stream() {
            Step::Call {
                future: self.service.call(request.map(|_| KeptBody::default())),
            }
        } else {
            let (head, body) = request.into_parts();
            // The clone that is ready is the one to call.
            let clone = self.service.clone();
            let reading = Box::new(Reading {
                service: mem::replace(&mut self.service, clone),
                head: Request::from_parts(head, ()),
                frames: Vec::new(),
                trailers: None,
                bytes: 0,
                limit: self.limit,
                is_short: body
                    .size_hint()
                    .exact()
                    .is_some_and(|bytes| bytes <= self.limit),
                is_long: body.size_hint().lower() > self.limit,
                error: None,
                body: Box::pin(body),
            });
            Step::Read {
                reading: Some(reading),
            }
        };
        KeepBodyFuture { step }
    }
}

/// A body that is being read.
struct Reading<S, B: Body> {
    service: S,
    head: Request<()>,
    body: Pin<Box<B>>,
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    bytes: u64,
    limit: u64,
    /// Its length is known and within the limit: it is waited for.
    is_short: bool,
    is_long: bool,
    error: Option<B::Error>,
}

impl<S, B: Body<Data = Bytes>> Reading<S, B> {
    /// Reads what is to be read before the request is sent. Ready with true if that is all.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        for _ in 0..MAX_FRAMES {
            if self.is_long {
                break;
            }
            match self.body.as_mut().poll_frame(cx) {
                Poll::Pending if self.is_short => return Poll::Pending,
                Poll::Pending => return Poll::Ready(false),
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Err(error))) => {
                    self.error = Some(error);
                    return Poll::Ready(false);
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        self.bytes = self.bytes.saturating_add(data.len() as u64);
                        self.is_long = self.bytes > self.limit;
                        self.frames.push(data);
                    }
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        return Poll::Ready(true);
                    }
                },
            }
        }
        Poll::Ready(false)
    }
}

pin_project! {
    /// The future of [`KeepBody`]: reads the body as far as it is to be kept, then sends the request.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct KeepBodyFuture<S, B>
    where
        S: Service<Request<KeptBody<B>>>,
        B: Body,
    {
        #[pin]
        step: Step<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StepProj]
    enum Step<S, B, F>
    where
        B: Body,
    {
        Read { reading: Option<Box<Reading<S, B>>> },
        Call {
            #[pin]
            future: F,
        },
    }
}

impl<S, B> Future for KeepBodyFuture<S, B>
where
    S: Service<Request<KeptBody<B>>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let future = match step.as_mut().project() {
                StepProj::Call { future } => return future.poll(cx),
                StepProj::Read { reading } => {
                    let is_all = match reading {
                        Some(reading) => ready!(reading.poll_read(cx)),
                        // Only where the call below panicked.
                        None => return Poll::Pending,
                    };
                    let Some(mut done) = reading.take() else {
                        return Poll::Pending;
                    };
                    let rest = match done.error {
                        _ if is_all => Rest::Nothing,
                        Some(error) => Rest::Failed(Some(Box::new(error))),
                        None => Rest::Stream(done.body),
                    };
                    let body = KeptBody::new(done.frames, done.trailers, rest);
                    done.service.call(done.head.map(|()| body))
                }
            };
            step.set(Step::Call { future });
        }
    }
}

impl<S, B> fmt::Debug for KeepBodyFuture<S, B>
where
    S: Service<Request<KeptBody<B>>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepBodyFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::future::{Ready, ready};

    use http_body::Frame;
    use tower::{ServiceExt, service_fn};

    /// Gives empty frames for ever.
    struct Empty;

    impl Body for Empty {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
        }
    }

    #[tokio::test]
    async fn body_of_endless_empty_frames_is_streamed() {
        let is_kept = |request: Request<KeptBody<Empty>>| -> Ready<Result<bool, Infallible>> {
            ready(Ok(request.body().is_kept()))
        };
        let service = KeepBodyLayer::new().layer(service_fn(is_kept));
        assert_eq!(service.oneshot(Request::new(Empty)).await, Ok(false));
    }
}
