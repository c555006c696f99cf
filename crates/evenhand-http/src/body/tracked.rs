//! The body of a response, whose end says how its attempt ended.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use evenhand::{Ticket, Verdict};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::base_url::BaseUrl;
use crate::classify::{HttpClassifier, broke_off, judge_body, judge_grpc};

pin_project! {
    /// A response's body. While it lives, the attempt that it belongs to is in flight.
    ///
    /// What the peer is judged by is in [`PeerClient`](crate::PeerClient). A body that is dropped
    /// before its end says nothing of the peer.
    pub struct TrackedBody<B> {
        // `None` is empty: of a response that no peer made.
        #[pin]
        inner: Option<B>,
        watch: Option<Watch>,
    }
}

/// What a body does for the attempt that it belongs to.
pub(crate) struct Watch {
    /// Keeps the attempt in flight. Decides about it, or leaves that to the head.
    pub(crate) ticket: Ticket<BaseUrl>,
    pub(crate) decides: bool,
    pub(crate) classifier: HttpClassifier,
    /// It ends with a status of gRPC.
    pub(crate) is_grpc: bool,
}

impl<B> TrackedBody<B> {
    pub(crate) fn new(inner: B, watch: Option<Watch>) -> Self {
        Self {
            inner: Some(inner),
            watch,
        }
    }
}

/// An empty body, of a response that no peer made.
impl<B> Default for TrackedBody<B> {
    fn default() -> Self {
        Self {
            inner: None,
            watch: None,
        }
    }
}

/// What the end of a body says, with these trailers if it has any.
fn judge_end(watch: &Watch, trailers: Option<&HeaderMap>) -> Verdict {
    match trailers.and_then(|trailers| judge_grpc(&watch.classifier, trailers)) {
        Some(verdict) => verdict,
        None if watch.is_grpc => Verdict::degraded().because("ended without a gRPC status"),
        None => Verdict::healthy(),
    }
}

impl<B: Body<Data = Bytes, Error: 'static>> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(mut inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let frame = ready!(inner.as_mut().poll_frame(cx));
        if let Some(watch) = this.watch {
            let verdict = match &frame {
                // hyper ends a body so, too, that the peer cuts short without an error.
                None if inner.size_hint().lower() > 0 && !inner.is_end_stream() => {
                    Some(broke_off())
                }
                None => Some(judge_end(watch, None)),
                Some(Err(error)) => Some(judge_body(error)),
                Some(Ok(frame)) => match frame.trailers_ref() {
                    Some(trailers) => Some(judge_end(watch, Some(trailers))),
                    // Then it may not be polled again.
                    None => inner.is_end_stream().then(|| judge_end(watch, None)),
                },
            };
            if let Some(verdict) = verdict
                && let Some(watch) = this.watch.take()
                && watch.decides
            {
                watch.ticket.report(verdict);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let empty = SizeHint::with_exact(0);
        self.inner.as_ref().map_or(empty, B::size_hint)
    }
}

impl<B> fmt::Debug for TrackedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackedBody")
            .field("has_ended", &self.watch.is_none())
            .finish_non_exhaustive()
    }
}
