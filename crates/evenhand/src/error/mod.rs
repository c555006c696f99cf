//! Why a request failed: which peers were tried, and what came of each attempt.

mod box_errors;
mod boxed;
mod peers_error;
mod tried;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

use tokio::time::Instant;

pub use self::box_errors::{BoxErrors, BoxErrorsFuture, BoxErrorsLayer};
pub use self::boxed::BoxedError;
pub use self::peers_error::PeersError;
pub(crate) use self::tried::Rank;
pub use self::tried::{Cause, CauseError, Tried};

/// A request failed. Names every peer that was tried, with the reason of each.
///
/// `Display` shows the peers and the reasons that the classifier gave; `source` is the
/// [cause](Self::cause).
///
/// It is a `std::error::Error` if `E` is one. `Box<dyn Error + Send + Sync>` is none: put a
/// [`BoxErrorsLayer`] below the balancer, or call [`boxed`](Self::boxed).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The peer set is empty.
    NoPeers,
    /// Peers are up, but the pick chose none: each has weight 0.
    ZeroWeight,
    /// Every peer is being drained, so none may be tried.
    Drained,
    /// The connector's `poll_ready` failed before a peer was picked. No peer is blamed.
    NotReady(E),
    /// No peer is left to try: each is ejected, or was tried and may not be tried again.
    #[non_exhaustive]
    Exhausted {
        /// The peers that were tried. Empty if all were down already.
        tried: Vec<Tried<E>>,
        /// When the next ejected peer is due for a probe, if any is ejected.
        next_due: Option<Instant>,
    },
    /// The last attempt failed, and its verdict allows no other attempt.
    #[non_exhaustive]
    Failed {
        /// The peers that were tried.
        tried: Vec<Tried<E>>,
    },
    /// [`BalanceLayer::max_refusals`] peers refused the request with [`PeerVerdict::Suspect`], or all
    /// peers did. So the caller is taken to be at fault, and no peer was ejected.
    ///
    /// [`BalanceLayer::max_refusals`]: crate::BalanceLayer::max_refusals
    /// [`PeerVerdict::Suspect`]: crate::PeerVerdict::Suspect
    #[non_exhaustive]
    Inconclusive {
        /// The peers that were tried.
        tried: Vec<Tried<E>>,
    },
    /// The request's [`deadline`] passed: while an attempt was in flight, while the request waited for
    /// a peer, or before it could be sent to another one.
    ///
    /// [`deadline`]: crate::BalanceLayer::deadline
    #[non_exhaustive]
    TimedOut {
        /// The peers that were tried, with the one that had not answered, if there is one.
        tried: Vec<Tried<E>>,
        /// When the next ejected peer is due for a probe, if any is ejected.
        next_due: Option<Instant>,
    },
}

/// For tests of code that handles errors of a balancer.
impl<E> Error<E> {
    /// An [`Exhausted`](Self::Exhausted) error.
    pub const fn exhausted(tried: Vec<Tried<E>>, next_due: Option<Instant>) -> Self {
        Self::Exhausted { tried, next_due }
    }

    /// A [`Failed`](Self::Failed) error. The last peer's outcome is the one that ended the request.
    pub fn failed(mut tried: Vec<Tried<E>>) -> Self {
        if let Some(last) = tried.last_mut() {
            last.rank = Rank::DECIDES;
        }
        Self::Failed { tried }
    }

    /// An [`Inconclusive`](Self::Inconclusive) error. The first peer's refusal is the one that ended
    /// the request.
    pub fn inconclusive(mut tried: Vec<Tried<E>>) -> Self {
        if let Some(first) = tried.first_mut() {
            first.rank = Rank::DECIDES;
        }
        Self::Inconclusive { tried }
    }

    /// A [`TimedOut`](Self::TimedOut) error.
    pub const fn timed_out(tried: Vec<Tried<E>>, next_due: Option<Instant>) -> Self {
        Self::TimedOut { tried, next_due }
    }
}

impl<E> Error<E> {
    /// The peers that were tried, in the order in which they were first asked.
    pub fn tried(&self) -> &[Tried<E>] {
        match self {
            Self::NoPeers | Self::ZeroWeight | Self::Drained | Self::NotReady(_) => &[],
            Self::Exhausted { tried, .. }
            | Self::Failed { tried }
            | Self::Inconclusive { tried }
            | Self::TimedOut { tried, .. } => tried,
        }
    }

    /// As [`tried`](Self::tried), by value.
    pub fn into_tried(self) -> Vec<Tried<E>> {
        match self {
            Self::NoPeers | Self::ZeroWeight | Self::Drained | Self::NotReady(_) => Vec::new(),
            Self::Exhausted { tried, .. }
            | Self::Failed { tried }
            | Self::Inconclusive { tried }
            | Self::TimedOut { tried, .. } => tried,
        }
    }

    /// When the next ejected peer is due for a probe, if the request is [`Exhausted`](Self::Exhausted)
    /// or [`TimedOut`](Self::TimedOut).
    pub fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Exhausted { next_due, .. } | Self::TimedOut { next_due, .. } => *next_due,
            _ => None,
        }
    }

    /// The connector's error that says most; `None` if there was none. That is, whatever the order in
    /// which peers were tried, the first of:
    ///
    /// 1. the error that ended the request, or the first refusal if it is
    ///    [`Inconclusive`](Self::Inconclusive);
    /// 2. one after which the request may have been executed
    ///    ([`Retry::IfIdempotent`](crate::Retry::IfIdempotent));
    /// 3. a refusal ([`PeerVerdict::Suspect`](crate::PeerVerdict::Suspect));
    /// 4. one of a peer that had no room ([`Retry::Busy`](crate::Retry::Busy));
    /// 5. any other that is not [`Down`](crate::PeerVerdict::Down);
    /// 6. any other.
    ///
    /// Of several, that of the peer that was added to the set first. A request whose last chance is
    /// gone ends with a response instead, if one was rejected: of several by the same order.
    pub fn cause(&self) -> Option<&E> {
        if let Self::NotReady(error) = self {
            return Some(error);
        }
        let errors = self.tried().iter().filter_map(|tried| match &tried.cause {
            Cause::Error(error) => Some((tried.rank, error)),
            Cause::Rejected | Cause::TimedOut => None,
        });
        errors.max_by_key(|(rank, _)| *rank).map(|(_, error)| error)
    }

    /// As [`cause`](Self::cause), by value.
    pub fn into_cause(self) -> Option<E> {
        if let Self::NotReady(error) = self {
            return Some(error);
        }
        let errors = self.into_tried().into_iter();
        let errors = errors.filter_map(|tried| match tried.cause {
            Cause::Error(error) => Some((tried.rank, error)),
            Cause::Rejected | Cause::TimedOut => None,
        });
        errors.max_by_key(|(rank, _)| *rank).map(|(_, error)| error)
    }

    /// Whether time ended the request: its deadline passed, or the outcome that says most is that of
    /// an attempt that timed out.
    pub fn is_timeout(&self) -> bool {
        let most = self.tried().iter().max_by_key(|tried| tried.rank);
        matches!(self, Self::TimedOut { .. })
            || most.is_some_and(|tried| matches!(tried.cause, Cause::TimedOut))
    }

    /// The same with each of the connector's errors changed by `map`.
    pub fn map<F>(self, mut map: impl FnMut(E) -> F) -> Error<F> {
        let mut all = |tried: Vec<Tried<E>>| -> Vec<Tried<F>> {
            tried.into_iter().map(|tried| tried.map(&mut map)).collect()
        };
        match self {
            Self::NoPeers => Error::NoPeers,
            Self::ZeroWeight => Error::ZeroWeight,
            Self::Drained => Error::Drained,
            Self::NotReady(error) => Error::NotReady(map(error)),
            Self::Exhausted { tried, next_due } => Error::Exhausted {
                tried: all(tried),
                next_due,
            },
            Self::Failed { tried } => Error::Failed { tried: all(tried) },
            Self::Inconclusive { tried } => Error::Inconclusive { tried: all(tried) },
            Self::TimedOut { tried, next_due } => Error::TimedOut {
                tried: all(tried),
                next_due,
            },
        }
    }

    /// The same with each of the connector's errors in a box that is itself an error. The `source` is
    /// the error in the box.
    ///
    /// ```
    /// use std::error::Error as _;
    /// use evenhand::{Cause, Error, Tried};
    ///
    /// // An error as tower's `Timeout` has it. It is no `std::error::Error`.
    /// let boxed: Box<dyn std::error::Error + Send + Sync> = "too late".into();
    /// let error = Error::failed(vec![Tried::new("db0", Cause::Error(boxed))]);
    /// let error = error.boxed();
    /// assert_eq!(error.to_string(), "the request failed: db0: failed");
    /// assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("too late"));
    /// ```
    pub fn boxed(self) -> Error<BoxedError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.map(BoxedError::new)
    }
}

/// How many peers an error's text names.
const NAMED: usize = 5;

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPeers => "the peer set is empty",
            Self::ZeroWeight => "every peer that is up has weight 0",
            Self::Drained => "every peer is being drained",
            Self::NotReady(_) => "the connector is not ready",
            Self::Exhausted { tried, .. } if tried.is_empty() => "all peers are down",
            Self::Exhausted { .. } => "no peer is left to try",
            Self::Failed { .. } => "the request failed",
            Self::Inconclusive { .. } => "the peers refused the request",
            Self::TimedOut { .. } => "the request's deadline passed",
        })?;
        if let Some(due) = self.next_due() {
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                f.write_str(" (a peer is due now)")?;
            } else {
                write!(f, " (the next peer is due in {wait:.1?})")?;
            }
        }
        let tried = self.tried();
        for (i, peer) in tried.iter().take(NAMED).enumerate() {
            let separator = if i == 0 { ':' } else { ';' };
            write!(f, "{separator} {peer}")?;
        }
        if tried.len() > NAMED {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            tried
                .iter()
                .for_each(|tried| *counts.entry(tried.text()).or_default() += 1);
            // Of equally common reasons the first in the alphabet.
            let commonest = counts
                .iter()
                .max_by_key(|(reason, n)| (**n, Reverse(**reason)));
            write!(f, "; and {} more peers", tried.len() - NAMED)?;
            if let Some((reason, n)) = commonest {
                write!(f, " (of {} in all, {n}: {reason})", tried.len())?;
            }
        }
        Ok(())
    }
}

impl<E: CauseError> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|error| boxed::unboxed(error))
    }
}

#[cfg(test)]
mod tests;
