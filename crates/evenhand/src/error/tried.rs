//! A peer that a request was tried on, and what came of it.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use crate::classify::{PeerVerdict, Retry, Verdict};

/// A peer that was tried, and what came of the last attempt there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tried<E> {
    /// The peer's name.
    pub peer: Arc<str>,
    /// The reason that the verdict gave, if it gave one.
    pub reason: Option<&'static str>,
    /// What came of the attempt.
    pub cause: Cause<E>,
    /// How many attempts the request made on this peer.
    pub attempts: u32,
    pub(crate) rank: Rank,
}

/// How much an outcome says, of two outcomes of one request. See [`Error::cause`](super::Error::cause).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u8, Reverse<u64>);

impl Rank {
    /// The outcome that ended its request.
    pub(crate) const DECIDES: Self = Self(u8::MAX, Reverse(0));

    pub(crate) fn new(verdict: &Verdict, peer: u64) -> Self {
        let rank = match (verdict.retry, verdict.peer) {
            (Retry::IfIdempotent, _) => 4,
            (_, PeerVerdict::Suspect) => 3,
            (Retry::Busy, _) => 2,
            (_, PeerVerdict::Down) => 0,
            _ => 1,
        };
        Self(rank, Reverse(peer))
    }
}

/// What came of an attempt that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// The connector's error.
    Error(E),
    /// A response whose verdict allowed a retry. The response itself is not kept.
    Rejected,
    /// No outcome within [`BalanceLayer::attempt_timeout`], or by the
    /// [`deadline`](crate::BalanceLayer::deadline).
    ///
    /// [`BalanceLayer::attempt_timeout`]: crate::BalanceLayer::attempt_timeout
    TimedOut,
}

/// What a connector's error must be so that an [`Error`](super::Error) of it is an error: a
/// `std::error::Error` that borrows nothing. Implemented for every such type; there is nothing to
/// implement.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `std::error::Error`, so an `evenhand::Error` of it is none",
    label = "no `std::error::Error`: if it is a box, put a `BoxErrorsLayer` below the balancer, or call `Error::boxed`"
)]
pub trait CauseError: std::error::Error + 'static {}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + 'static> CauseError for E {}

impl<E> Tried<E> {
    /// A peer with this outcome of one attempt, for tests of code that handles an
    /// [`Error`](super::Error).
    pub fn new(peer: impl Into<Arc<str>>, cause: Cause<E>) -> Self {
        Self {
            peer: peer.into(),
            reason: None,
            cause,
            attempts: 1,
            rank: Rank::new(&Verdict::down().safe(), 0),
        }
    }

    /// Sets the [`reason`](Self#structfield.reason).
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    pub(super) fn map<F>(self, map: impl FnOnce(E) -> F) -> Tried<F> {
        let cause = match self.cause {
            Cause::Error(error) => Cause::Error(map(error)),
            Cause::Rejected => Cause::Rejected,
            Cause::TimedOut => Cause::TimedOut,
        };
        Tried {
            peer: self.peer,
            reason: self.reason,
            cause,
            attempts: self.attempts,
            rank: self.rank,
        }
    }

    pub(super) fn text(&self) -> &'static str {
        self.reason.unwrap_or(match self.cause {
            Cause::Error(_) => "failed",
            Cause::Rejected => "response rejected",
            Cause::TimedOut => "timed out",
        })
    }
}

impl<E> fmt::Display for Tried<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.peer, self.text())?;
        if self.attempts > 1 {
            write!(f, " (the last of {} attempts)", self.attempts)?;
        }
        Ok(())
    }
}
