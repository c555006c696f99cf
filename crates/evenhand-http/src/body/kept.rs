//! The body of a request that may be sent to another peer as well.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// A request's body, kept for further attempts if it is small enough; made by
/// [`KeepBody`](crate::KeepBody), or empty by [`Default`].
///
/// A body that is kept can be sent any number of times. One that is streamed can be sent once.
pub struct KeptBody<B: Body> {
    /// `None` if nothing was read, or all of it was given. Requests are moved often, so it takes no more than a word.
    read: Option<Arc<Read>>,
    /// How many parts of it were given.
    given: usize,
    rest: Rest<B>,
}

/// What was read of a body. Copies share it.
struct Read {
    frames: Vec<Bytes>,
    /// They are the last part.
    trailers: Option<HeaderMap>,
}

/// What follows on what was read of a body.
pub(super) enum Rest<B: Body> {
    /// The whole body is kept.
    Nothing,
    Stream(Pin<Box<B>>),
    /// `None` once it was told.
    Failed(Option<Box<B::Error>>),
    /// It ended when so many bytes of its length were still to come.
    Short(u64),
}

/// Nothing in it is pinned but what is boxed.
impl<B: Body> Unpin for KeptBody<B> {}

impl<B: Body> KeptBody<B> {
    pub(super) fn new(frames: Vec<Bytes>, trailers: Option<HeaderMap>, rest: Rest<B>) -> Self {
        let is_empty = frames.is_empty() && trailers.is_none();
        Self {
            read: (!is_empty).then(|| Arc::new(Read { frames, trailers })),
            given: 0,
            rest,
        }
    }

    /// Whether the whole body is kept, so that it can be sent again.
    pub fn is_kept(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// A copy, if the whole body is kept. Shares the bytes.
    pub fn copy(&self) -> Option<Self> {
        self.is_kept().then(|| Self {
            read: self.read.clone(),
            given: self.given,
            rest: Rest::Nothing,
        })
    }

    /// The frames that were read and not given.
    fn frames(&self) -> &[Bytes] {
        let frames = self.read.as_ref().map(|read| &*read.frames);
        frames
            .and_then(|frames| frames.get(self.given..))
            .unwrap_or_default()
    }

    /// The trailers that were read and not given.
    fn trailers(&self) -> Option<&HeaderMap> {
        let read = self.read.as_ref()?;
        let trailers = read.trailers.as_ref()?;
        (self.given <= read.frames.len()).then_some(trailers)
    }

    /// The next part of what was read.
    fn next(&mut self) -> Option<Frame<Bytes>> {
        let next = match self.frames().first() {
            Some(data) => Frame::data(data.clone()),
            None => Frame::trailers(self.trailers()?.clone()),
        };
        self.given += 1;
        if self.frames().is_empty() && self.trailers().is_none() {
            // Not kept while the rest is streamed or the response is waited for.
            self.read = None;
        }
        Some(next)
    }
}

impl<B: Body> Default for KeptBody<B> {
    fn default() -> Self {
        Self {
            read: None,
            given: 0,
            rest: Rest::Nothing,
        }
    }
}

/// These bytes, kept.
impl<B: Body> From<Bytes> for KeptBody<B> {
    fn from(bytes: Bytes) -> Self {
        let frames = (!bytes.is_empty()).then_some(bytes);
        Self::new(frames.into_iter().collect(), None, Rest::Nothing)
    }
}

impl<B: Body<Data = Bytes>> Body for KeptBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(frame) = self.next() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match &mut self.rest {
            Rest::Nothing | Rest::Short(_) => Poll::Ready(None),
            Rest::Stream(rest) => rest.as_mut().poll_frame(cx),
            Rest::Failed(error) => Poll::Ready(error.take().map(|error| Err(*error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest_ended = match &self.rest {
            Rest::Nothing => true,
            Rest::Stream(rest) => rest.is_end_stream(),
            Rest::Failed(error) => error.is_none(),
            Rest::Short(_) => false,
        };
        self.frames().is_empty() && self.trailers().is_none() && rest_ended
    }

    fn size_hint(&self) -> SizeHint {
        let kept: u64 = self.frames().iter().map(|data| data.len() as u64).sum();
        let rest = match &self.rest {
            Rest::Stream(rest) => rest.size_hint(),
            // How long it would have been is not known.
            Rest::Failed(_) => SizeHint::default(),
            // The length that it had, so that hyper sees that it is not kept.
            Rest::Short(missing) => SizeHint::with_exact(*missing),
            // With a length, HTTP/1.1 would send no trailers.
            Rest::Nothing if self.trailers().is_some() => SizeHint::default(),
            Rest::Nothing => return SizeHint::with_exact(kept),
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
        let bytes: usize = self.frames().iter().map(Bytes::len).sum();
        f.debug_struct("KeptBody")
            .field("bytes", &bytes)
            .field("is_kept", &self.is_kept())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    /// With a length HTTP/1.1 sends no trailers.
    #[test]
    fn body_with_trailers_has_no_length() {
        let frames = || vec![Bytes::from("abc")];
        let kept = |trailers| KeptBody::<Full<Bytes>>::new(frames(), trailers, Rest::Nothing);
        assert_eq!(kept(None).size_hint().exact(), Some(3));
        assert_eq!(kept(Some(HeaderMap::new())).size_hint().exact(), None);
    }
    #[tokio::test]
    async fn every_copy_has_all_parts() {
        let mut trailers = HeaderMap::new();
        trailers.insert("a", "b".parse().unwrap());
        let frames = ["abc", "de"].map(Bytes::from).to_vec();
        let first = KeptBody::<Full<Bytes>>::new(frames, Some(trailers.clone()), Rest::Nothing);
        let second = first.copy().unwrap();
        for body in [first, second] {
            assert!(!body.is_end_stream());
            let collected = body.collect().await.unwrap();
            assert_eq!(collected.trailers(), Some(&trailers));
            assert_eq!(collected.to_bytes(), "abcde");
        }
    }

    #[tokio::test]
    async fn what_was_given_is_released() {
        let frames = ["abc", "de"].map(Bytes::from).to_vec();
        let rest = Rest::Stream(Box::pin(Full::from("fg")));
        let mut body = KeptBody::<Full<Bytes>>::new(frames, None, rest);
        let read = Arc::downgrade(body.read.as_ref().unwrap());
        body.frame().await.unwrap().unwrap();
        assert_eq!(read.strong_count(), 1);
        body.frame().await.unwrap().unwrap();
        assert_eq!(read.strong_count(), 0);
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "fg");
    }

    #[tokio::test]
    async fn copy_of_a_body_that_has_begun_has_the_rest() {
        let frames = ["abc", "de"].map(Bytes::from).to_vec();
        let mut body = KeptBody::<Full<Bytes>>::new(frames, None, Rest::Nothing);
        body.frame().await.unwrap().unwrap();
        assert_eq!(body.size_hint().exact(), Some(2));
        let copy = body.copy().unwrap();
        assert_eq!(copy.collect().await.unwrap().to_bytes(), "de");
    }
}
