//! Panics of the driver in a login or a check, as errors. It panics where a server asks for a login that is not
//! compiled in, for one.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use mysql_async::Error;

/// A future of the driver whose panic is an error, after which it is not polled again.
pub(crate) struct Caught<F>(pub(crate) F);

impl<F, T, E> Future for Caught<F>
where
    F: Future<Output = Result<T, E>> + Unpin,
    E: From<Error>,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        // What it leaves behind is dropped with it.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(Panicked::error(&*panic).into())))
    }
}

/// What the driver said as it panicked.
#[derive(Debug)]
pub(crate) struct Panicked(String);

impl Panicked {
    fn error(panic: &(dyn Any + Send)) -> Error {
        let literal = panic.downcast_ref().map(|text: &&str| (*text).to_owned());
        let text = literal.or_else(|| panic.downcast_ref().cloned());
        io::Error::other(Self(text.unwrap_or_default())).into()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the driver panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}
