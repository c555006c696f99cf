//! This crate's errors as the driver's, so that code written for the driver's pool meets what it knows.

use std::io;
use std::ptr;

use evenhand::Cause;
use mysql_async::{DriverError, IoError, ServerError};

use super::{AttemptError, CheckoutError, Error, WorkError};

type Driver = mysql_async::Error;

/// As the driver says it: see [`Error`].
impl From<Error> for Driver {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Disconnected => return DriverError::PoolDisconnected.into(),
            Error::Checkout(checkout) => match refusal(checkout) {
                Some(refusal) => return refusal.into(),
                None => checkout_kind(checkout),
            },
            Error::Work(work) => work_kind(work),
            Error::PeerLost { .. } => io::ErrorKind::TimedOut,
            _ => return Self::Other(Box::new(error)),
        };
        io::Error::new(kind, error).into()
    }
}

/// The server's refusal that decided a checkout. All that is known goes into its text, as it has no source.
fn refusal(checkout: &CheckoutError) -> Option<ServerError> {
    let cause = checkout.tried.cause()?;
    let AttemptError::Connect(Driver::Server(error)) = cause else {
        return None;
    };
    let mut tried = checkout.tried.tried().iter();
    let decisive = tried.find(|tried| matches!(&tried.cause, Cause::Error(e) if ptr::eq(e, cause)));
    let peer = decisive.map_or("unknown", |tried| &tried.peer);
    Some(ServerError {
        message: format!("{} (peer `{peer}`: {checkout})", error.message),
        ..error.clone()
    })
}

fn checkout_kind(checkout: &CheckoutError) -> io::ErrorKind {
    // Without a cause the time was up, or all peers were down.
    let cause = checkout.tried.cause();
    cause.map_or(io::ErrorKind::TimedOut, attempt_kind)
}

fn work_kind(work: &WorkError) -> io::ErrorKind {
    match work.checkout.as_deref() {
        Some(Error::Checkout(checkout)) => checkout_kind(checkout),
        Some(_) => io::ErrorKind::TimedOut,
        None => {
            let last = work.tries.last();
            last.map_or(io::ErrorKind::TimedOut, |failed| {
                attempt_kind(&failed.cause)
            })
        }
    }
}

fn attempt_kind(cause: &AttemptError) -> io::ErrorKind {
    match cause {
        AttemptError::Connect(Driver::Io(IoError::Io(error))) => error.kind(),
        AttemptError::ConnectionLost(_) => io::ErrorKind::ConnectionAborted,
        AttemptError::TimedOut(_)
        | AttemptError::Slow(_)
        | AttemptError::OutOfTime
        | AttemptError::TryTimedOut(_) => io::ErrorKind::TimedOut,
        AttemptError::Ejected | AttemptError::Avoided => io::ErrorKind::NotConnected,
        _ => io::ErrorKind::Other,
    }
}

/// The same error, for one who cannot own it: of the same variant where that has no more than text.
pub(crate) fn copy(error: &Driver) -> Driver {
    match error {
        Driver::Server(error) => error.clone().into(),
        Driver::Url(error) => error.clone().into(),
        Driver::Io(IoError::Io(error)) => io::Error::new(error.kind(), error.to_string()).into(),
        Driver::Driver(DriverError::ConnectionClosed) => DriverError::ConnectionClosed.into(),
        _ => Driver::Other(error.to_string().into()),
    }
}
