//! Errors: what became of the request, as far as the chain of sources tells.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

use evenhand::{BoxedError, PeerVerdict, Verdict};

/// No file descriptor is left, in this process or on this machine.
#[cfg(unix)]
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

/// When it failed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Before the head of a response came.
    #[default]
    Head,
    /// In the body of a response.
    Body,
}

/// What hyper says where the task of a connection was dropped: its runtime ended, or a body panicked in it. It
/// counts that as the user's error, and has no method for it.
#[cfg(feature = "client")]
const DISPATCH_GONE: &str = "dispatch task is gone";

/// What the chain of an error's sources tells.
#[derive(Default)]
struct Facts {
    phase: Phase,
    /// The connection was not made.
    is_connect: bool,
    /// An error of the machine or the transport.
    io: Option<io::ErrorKind>,
    /// It is certainly this host that failed.
    is_local: bool,
    /// What settles the matter, whatever else is in the chain.
    verdict: Option<Verdict>,
}

/// The error with which the body of a response broke off that was read within its attempt.
#[derive(Debug)]
pub struct BrokenBody(pub(crate) Box<dyn Error + Send + Sync>);

impl fmt::Display for BrokenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BROKE_OFF)
    }
}

impl Error for BrokenBody {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

const BROKE_OFF: &str = "the body broke off";

/// A body that broke off, whose error tells no more or is missing.
pub(crate) fn broke_off() -> Verdict {
    Verdict::degraded().because(BROKE_OFF)
}

/// What an error says with which the body of a response breaks off. Nothing is retried then.
pub(crate) fn judge_body<E: 'static>(error: &E) -> Verdict {
    let facts = as_error(error).map(|error| Facts::of(error, Phase::Body));
    facts
        .and_then(|facts| facts.verdict)
        .unwrap_or_else(broke_off)
}

/// Errors of bodies have no trait in common: those of hyper are errors, and those of tower-http boxes, which
/// are none.
fn as_error<E: 'static>(error: &E) -> Option<&(dyn Error + 'static)> {
    let error: &dyn Any = error;
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**boxed);
    }
    if let Some(boxed) = error.downcast_ref::<BoxedError>() {
        return Some(boxed);
    }
    #[cfg(feature = "client")]
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return Some(error);
    }
    None
}

pub(crate) fn judge(error: &(dyn Error + 'static)) -> Verdict {
    Facts::of(error, Phase::Head).verdict()
}

/// What an error says of a peer that a probe asked: a failure, unless it is certainly this host's. What else
/// blames no peer for a request may well be the peer's: one that accepts connections and closes them at once
/// would otherwise never be found.
pub(crate) fn judge_probe(error: &(dyn Error + 'static)) -> Verdict {
    let facts = Facts::of(error, Phase::Head);
    let is_local = facts.is_local;
    let verdict = facts.verdict();
    if is_local && verdict.peer == PeerVerdict::Neutral {
        return verdict;
    }
    Verdict::down().because(verdict.reason.unwrap_or("the probe got no answer"))
}

impl Facts {
    fn verdict(self) -> Verdict {
        if self.phase == Phase::Body {
            // There was a head, so the request was executed.
            return self.verdict.unwrap_or_else(broke_off).if_idempotent();
        }
        if let Some(verdict) = self.verdict {
            return verdict;
        }
        // Only connecting fails so, whatever made the connection.
        let is_refused = self.io == Some(io::ErrorKind::ConnectionRefused);
        if self.is_connect || is_refused {
            return Verdict::down().safe().because(match self.io {
                Some(io::ErrorKind::ConnectionRefused) => "connection refused",
                Some(io::ErrorKind::TimedOut) => "connecting timed out",
                // TLS stacks tell a certificate that they refuse, and an alert of the peer, in this way.
                Some(io::ErrorKind::InvalidData) => "the TLS handshake failed",
                _ => "cannot connect",
            });
        }
        let lost = Verdict::degraded().if_idempotent();
        lost.because(match self.io {
            Some(io::ErrorKind::TimedOut) => "timed out",
            _ => "the connection was lost",
        })
    }

    fn of(error: &(dyn Error + 'static), phase: Phase) -> Self {
        let mut facts = Self {
            phase,
            ..Self::default()
        };
        let mut next = Some(error);
        while let Some(error) = next {
            facts.add(error);
            next = source(error);
        }
        facts
    }

    fn add(&mut self, error: &(dyn Error + 'static)) {
        if error.is::<BrokenBody>() {
            self.phase = Phase::Body;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // The innermost says most.
            self.io = Some(error.kind());
            if is_local(error) {
                self.is_local = true;
                let local = Verdict::neutral().safe();
                self.verdict
                    .get_or_insert(local.because("no local port or descriptor is left"));
            }
        }
        #[cfg(feature = "client")]
        self.add_clients(error);
        #[cfg(feature = "http2")]
        if let Some(verdict) = error.downcast_ref().and_then(judge_h2) {
            // More exact than what hyper says of it.
            self.verdict = Some(verdict);
        }
    }

    #[cfg(feature = "client")]
    fn add_clients(&mut self, error: &(dyn Error + 'static)) {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            self.is_connect |= error.is_connect();
        }
        let Some(error) = error.downcast_ref::<hyper::Error>() else {
            return;
        };
        let verdict = if error.is_timeout() {
            Verdict::down()
                .if_idempotent()
                .because("no answer to a ping")
        } else if self.phase == Phase::Body {
            // The rest is about requests that have no response.
            return;
        } else if error.is_canceled() || error.is_closed() {
            Verdict::neutral()
                .safe()
                .because("the connection ended before the request was sent")
        } else if error.is_user() && error.to_string() == DISPATCH_GONE {
            self.is_local = true;
            Verdict::neutral()
                .if_idempotent()
                .because("the connection ended on this side")
        } else if error.is_user() {
            Verdict::neutral().because("the request's body failed")
        } else {
            return;
        };
        self.verdict.get_or_insert(verdict);
    }
}

/// The next of the chain. What an `io::Error` wraps is not its source, but that one's source is; so it is
/// with a box.
fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(boxed) = error.downcast_ref::<BoxedError>() {
        return Some(boxed.get_ref());
    }
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Whether it is this machine that lacks something, and no peer.
fn is_local(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error
        .raw_os_error()
        .is_some_and(|code| NO_DESCRIPTOR.contains(&code))
    {
        return true;
    }
    error.kind() == io::ErrorKind::AddrNotAvailable
}

/// RFC 9113, sections 5.4.2, 6.8 and 8.7: what the peer says that it did not process.
#[cfg(feature = "http2")]
fn judge_h2(error: &h2::Error) -> Option<Verdict> {
    if !error.is_remote() {
        // Only what the caller gave can reset a stream on this side.
        let is_own = error.is_reset() && !error.is_library();
        return is_own.then_some(Verdict::neutral().because("the request's body failed"));
    }
    if error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM) {
        return Some(Verdict::neutral().busy().because("REFUSED_STREAM"));
    }
    if error.is_go_away() {
        // h2 gives this error to the streams only that the frame excludes.
        let verdict = match error.reason() {
            Some(h2::Reason::NO_ERROR) => Verdict::neutral(),
            _ => Verdict::degraded(),
        };
        return Some(verdict.safe().because("GOAWAY"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapped(io::Error);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn errors_are_found_in_the_chain() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let expected = Verdict::down().safe().because("connection refused");
        assert_eq!(judge(&refused()), expected);
        assert_eq!(judge(&Wrapped(refused())), expected);
        assert_eq!(judge(&io::Error::other(Wrapped(refused()))), expected);
        assert_eq!(judge(&Wrapped(io::Error::other(refused()))), expected);
        assert_eq!(judge(&BoxedError::from(Box::from(refused()))), expected);
    }

    /// The same errors without a head say that nothing was executed.
    #[test]
    fn body_that_broke_off_was_executed() {
        let expected = Verdict::degraded().if_idempotent().because(BROKE_OFF);
        for kind in [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::UnexpectedEof,
        ] {
            let broken = BrokenBody(Box::new(io::Error::from(kind)));
            assert_eq!(judge(&io::Error::other(broken)), expected);
        }
    }

    #[test]
    fn what_this_machine_lacks_blames_no_peer() {
        let expected = Verdict::neutral()
            .safe()
            .because("no local port or descriptor is left");
        assert_eq!(
            judge(&Wrapped(io::ErrorKind::AddrNotAvailable.into())),
            expected
        );
        #[cfg(unix)]
        assert_eq!(judge(&io::Error::from_raw_os_error(24)), expected);
        let local = io::Error::from(io::ErrorKind::AddrNotAvailable);
        assert_eq!(judge_probe(&local), expected);
    }

    #[test]
    fn other_errors_of_a_probe_fail_it() {
        for (kind, reason) in [
            (io::ErrorKind::ConnectionRefused, "connection refused"),
            (io::ErrorKind::ConnectionReset, "the connection was lost"),
        ] {
            let expected = Verdict::down().because(reason);
            assert_eq!(judge_probe(&io::Error::from(kind)), expected);
        }
    }

    #[test]
    fn lost_connection_may_have_executed_the_request() {
        let lost = Verdict::degraded().if_idempotent();
        for (kind, reason) in [
            (io::ErrorKind::ConnectionReset, "the connection was lost"),
            (io::ErrorKind::UnexpectedEof, "the connection was lost"),
            (io::ErrorKind::TimedOut, "timed out"),
        ] {
            assert_eq!(judge(&io::Error::from(kind)), lost.because(reason));
        }
    }
}
