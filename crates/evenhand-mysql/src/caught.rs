//! Panics of the driver in a login or a check, and of a user's resolver, as errors. The driver panics where a
//! server asks for a login that is not compiled in, or where a row has another shape than it should.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose panic is an error, after which it is not polled again.
pub(crate) struct Caught<F>(pub(crate) F);

impl<F, T, E> Future for Caught<F>
where
    F: Future<Output = Result<T, E>> + Unpin,
    E: From<io::Error>,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        // What it leaves behind is dropped with it.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(Panicked::error(&*panic).into())))
    }
}

/// What was said in a panic.
#[derive(Debug)]
pub(crate) struct Panicked(String);

impl Panicked {
    fn error(panic: &(dyn Any + Send)) -> io::Error {
        let literal = panic.downcast_ref().map(|text: &&str| (*text).to_owned());
        let text = literal.or_else(|| panic.downcast_ref().cloned());
        io::Error::other(Self(text.unwrap_or_default()))
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a panic: {}", self.0)
    }
}

impl std::error::Error for Panicked {}
