//! The body of a request that may be sent to another peer as well.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// A request's body, kept for further attempts if it is small enough; made by
/// [`KeepBody`](crate::KeepBody), or empty by [`Default`].
///
/// A body that is kept can be sent any number of times. One that is streamed can be sent once.
pub struct KeptBody<B: Body> {
    frames: VecDeque<Bytes>,
    trailers: Option<Box<HeaderMap>>,
    /// What follows, of a body that is not kept.
    rest: Option<Rest<B>>,
}

/// What follows on what was read of a body.
pub(super) enum Rest<B: Body> {
    Stream(Pin<Box<B>>),
    /// `None` once it was told.
    Failed(Option<B::Error>),
}

/// Nothing in it is pinned but what is boxed.
impl<B: Body> Unpin for KeptBody<B> {}

impl<B: Body> KeptBody<B> {
    pub(super) fn streamed(frames: VecDeque<Bytes>, rest: Rest<B>) -> Self {
        Self {
            frames,
            trailers: None,
            rest: Some(rest),
        }
    }

    pub(super) fn kept(frames: VecDeque<Bytes>, trailers: Option<HeaderMap>) -> Self {
        Self {
            frames,
            trailers: trailers.map(Box::new),
            rest: None,
        }
    }

    /// Whether the whole body is kept, so that it can be sent again.
    pub fn is_kept(&self) -> bool {
        self.rest.is_none()
    }

    /// A copy, if the whole body is kept. Shares the bytes.
    pub fn copy(&self) -> Option<Self> {
        self.is_kept().then(|| Self {
            frames: self.frames.clone(),
            trailers: self.trailers.clone(),
            rest: None,
        })
    }
}

impl<B: Body> Default for KeptBody<B> {
    fn default() -> Self {
        Self::kept(VecDeque::new(), None)
    }
}

/// These bytes, kept.
impl<B: Body> From<Bytes> for KeptBody<B> {
    fn from(bytes: Bytes) -> Self {
        let frames = (!bytes.is_empty()).then_some(bytes);
        Self::kept(frames.into_iter().collect(), None)
    }
}

impl<B: Body<Data = Bytes>> Body for KeptBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(data) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
        }
        match &mut self.rest {
            Some(Rest::Stream(rest)) => rest.as_mut().poll_frame(cx),
            Some(Rest::Failed(error)) => Poll::Ready(error.take().map(Err)),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest_ended = match &self.rest {
            Some(Rest::Stream(rest)) => rest.is_end_stream(),
            Some(Rest::Failed(error)) => error.is_none(),
            None => true,
        };
        self.frames.is_empty() && self.trailers.is_none() && rest_ended
    }

    fn size_hint(&self) -> SizeHint {
        let kept: u64 = self.frames.iter().map(|data| data.len() as u64).sum();
        let rest = match &self.rest {
            Some(Rest::Stream(rest)) => rest.size_hint(),
            // How long it would have been is not known.
            Some(Rest::Failed(_)) => SizeHint::default(),
            // With a length, HTTP/1.1 would send no trailers.
            None if self.trailers.is_some() => SizeHint::default(),
            None => return SizeHint::with_exact(kept),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(kept.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(kept.saturating_add(upper));
        }
        hint
    }
}

/// Shows the size, not the bytes, which may hold a secret.
impl<B: Body> fmt::Debug for KeptBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: usize = self.frames.iter().map(Bytes::len).sum();
        f.debug_struct("KeptBody")
            .field("bytes", &bytes)
            .field("is_kept", &self.is_kept())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    /// With a length HTTP/1.1 sends no trailers.
    #[test]
    fn body_with_trailers_has_no_length() {
        let frames = || VecDeque::from([Bytes::from("abc")]);
        let kept = |trailers| KeptBody::<Full<Bytes>>::kept(frames(), trailers);
        assert_eq!(kept(None).size_hint().exact(), Some(3));
        assert_eq!(kept(Some(HeaderMap::new())).size_hint().exact(), None);
    }
}
