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
/// - Any other body is streamed: sent as it comes, to one peer. So is one that ends before its length, so that
///   the peer does not take it for whole.
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
                length: body.size_hint().exact(),
                is_long: body.size_hint().lower() > self.limit,
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
    /// If it is known, and within the limit, the body is waited for.
    length: Option<u64>,
    is_long: bool,
}

impl<S, B: Body<Data = Bytes>> Reading<S, B> {
    /// Reads what is to be read before the request is sent. Ready with what follows on it if the body has
    /// ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Rest<B>>> {
        for _ in 0..MAX_FRAMES {
            if self.is_long {
                break;
            }
            match self.body.as_mut().poll_frame(cx) {
                Poll::Pending if self.length.is_some() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(None),
                Poll::Ready(None) => return Poll::Ready(Some(self.ended())),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Rest::Failed(Some(Box::new(error)))));
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
                        return Poll::Ready(Some(self.ended()));
                    }
                },
            }
        }
        Poll::Ready(None)
    }

    /// What follows at the end of the body. If its caller left before, it may end early without an error.
    fn ended(&self) -> Rest<B> {
        match self.length.unwrap_or(0).saturating_sub(self.bytes) {
            0 => Rest::Nothing,
            missing => Rest::Short(missing),
        }
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
                    let ended = match reading {
                        Some(reading) => ready!(reading.poll_read(cx)),
                        // Only where the call below panicked.
                        None => return Poll::Pending,
                    };
                    let Some(mut done) = reading.take() else {
                        return Poll::Pending;
                    };
                    let rest = ended.unwrap_or(Rest::Stream(done.body));
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

    use http_body::{Frame, SizeHint};
    use http_body_util::BodyExt;
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

    /// Says that it has nine bytes, and ends after four.
    #[derive(Default)]
    struct Short {
        has_begun: bool,
        has_ended: bool,
    }

    impl Body for Short {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            assert!(!self.has_ended, "polled after its end");
            self.has_ended = mem::replace(&mut self.has_begun, true);
            Poll::Ready((!self.has_ended).then(|| Ok(Frame::data(Bytes::from("half")))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(if self.has_begun { 5 } else { 9 })
        }
    }

    #[tokio::test]
    async fn body_that_ends_before_its_length_is_not_kept() {
        let given = |request: Request<KeptBody<Short>>| -> Ready<Result<_, Infallible>> {
            ready(Ok(request.into_body()))
        };
        let service = KeepBodyLayer::new().layer(service_fn(given));
        let answer = service.oneshot(Request::new(Short::default())).await;
        let mut body = answer.unwrap();
        assert!(!body.is_kept());
        assert_eq!(body.size_hint().exact(), Some(9));
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "half");
        assert!(body.frame().await.is_none());
        // So hyper tells the peer no end.
        assert!(!body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(5));
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
