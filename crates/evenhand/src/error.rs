//! Why a request failed: which peers were tried, and what came of each attempt.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

/// A request failed. Names every peer that was tried, with the reason of each.
///
/// `Display` shows the peers and the reasons that the classifier gave; `source` is the
/// [cause](Self::cause).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The peer set is empty.
    NoPeers,
    /// Peers are up, but the pick chose none: each has weight 0.
    ZeroWeight,
    /// The connector's `poll_ready` failed before a peer was picked. No peer is blamed.
    NotReady(E),
    /// No peer is left to try: each is ejected, or was tried and may not be tried again.
    #[non_exhaustive]
    Exhausted {
        /// The attempts, in order. Empty if all peers were down already.
        tried: Vec<Tried<E>>,
        /// When the next ejected peer is due for a probe, if any is ejected.
        next_due: Option<Instant>,
    },
    /// The last attempt failed, and its verdict allows no other attempt.
    #[non_exhaustive]
    Failed {
        /// The attempts, in order; the last one decided.
        tried: Vec<Tried<E>>,
    },
    /// Two peers refused the request with [`PeerVerdict::Suspect`], so the caller is taken to be at
    /// fault, and no peer was ejected.
    ///
    /// [`PeerVerdict::Suspect`]: crate::PeerVerdict::Suspect
    #[non_exhaustive]
    Inconclusive {
        /// The attempts, in order.
        tried: Vec<Tried<E>>,
    },
}

/// One attempt that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tried<E> {
    /// The peer's name.
    pub peer: Arc<str>,
    /// The reason that the verdict gave, if it gave one.
    pub reason: Option<&'static str>,
    /// What came of the attempt.
    pub cause: Cause<E>,
}

/// What came of an attempt that failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// The connector's error.
    Error(E),
    /// A response whose verdict allowed a retry. The response itself is not kept.
    Rejected,
}

impl<E> Error<E> {
    /// The attempts that were made, in order.
    pub fn tried(&self) -> &[Tried<E>] {
        match self {
            Self::NoPeers | Self::ZeroWeight | Self::NotReady(_) => &[],
            Self::Exhausted { tried, .. }
            | Self::Failed { tried }
            | Self::Inconclusive { tried } => tried,
        }
    }

    /// When the next ejected peer is due for a probe, if the request is [`Exhausted`](Self::Exhausted).
    pub fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Exhausted { next_due, .. } => *next_due,
            _ => None,
        }
    }

    /// The connector's error that decided: the first one if the outcome is
    /// [`Inconclusive`](Self::Inconclusive), otherwise the last one. `None` if there was none.
    pub fn cause(&self) -> Option<&E> {
        let error = |tried: &'_ Tried<E>| matches!(tried.cause, Cause::Error(_));
        let tried = match self {
            Self::NotReady(error) => return Some(error),
            Self::Inconclusive { tried } => tried.iter().find(|tried| error(tried)),
            _ => self.tried().iter().rfind(|tried| error(tried)),
        };
        match &tried?.cause {
            Cause::Error(error) => Some(error),
            Cause::Rejected => None,
        }
    }
}

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPeers => "the peer set is empty",
            Self::ZeroWeight => "every peer that is up has weight 0",
            Self::NotReady(_) => "the connector is not ready",
            Self::Exhausted { tried, .. } if tried.is_empty() => "all peers are down",
            Self::Exhausted { .. } => "no peer is left to try",
            Self::Failed { .. } => "the request failed",
            Self::Inconclusive { .. } => "two peers refused the request",
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
        let mut separator = ":";
        for (i, attempt) in tried.iter().enumerate() {
            // A request that waited may have tried a peer several times: show the last attempt.
            let same = |other: &&Tried<E>| other.peer == attempt.peer;
            if tried[i + 1..].iter().any(|later| same(&later)) {
                continue;
            }
            write!(f, "{separator} {attempt}")?;
            let times = tried.iter().filter(same).count();
            if times > 1 {
                write!(f, " (the last of {times} attempts)")?;
            }
            separator = ";";
        }
        Ok(())
    }
}

impl<E> fmt::Display for Tried<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.unwrap_or(match self.cause {
            Cause::Error(_) => "failed",
            Cause::Rejected => "response rejected",
        });
        write!(f, "{}: {reason}", self.peer)
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|error| error as _)
    }
}

/// A change to a peer set that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeersError {
    /// Two peers have this name.
    Duplicate(Arc<str>),
    /// No peer has this name.
    Unknown(Arc<str>),
}

impl fmt::Display for PeersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(name) => write!(f, "two peers are named `{name}`; names are unique"),
            Self::Unknown(name) => write!(f, "no peer is named `{name}`"),
        }
    }
}

impl std::error::Error for PeersError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;
    use std::io;

    fn tried(
        peer: &str,
        reason: Option<&'static str>,
        cause: Cause<io::Error>,
    ) -> Tried<io::Error> {
        Tried {
            peer: peer.into(),
            reason,
            cause,
        }
    }

    fn failed(peer: &str, reason: &'static str) -> Tried<io::Error> {
        let error = io::Error::other(format!("{peer} says: {reason}"));
        tried(peer, Some(reason), Cause::Error(error))
    }

    fn exhausted(tried: Vec<Tried<io::Error>>) -> Error<io::Error> {
        Error::Exhausted {
            tried,
            next_due: None,
        }
    }

    #[test]
    fn error_names_every_peer_with_its_reason() {
        let unspecified = Cause::Error(io::Error::other("secret"));
        let error = exhausted(vec![
            failed("db0", "refused"),
            tried("db1", Some("busy"), Cause::Rejected),
            tried("db2", None, Cause::Rejected),
            tried("db3", None, unspecified),
        ]);
        assert_eq!(
            error.to_string(),
            "no peer is left to try: db0: refused; db1: busy; db2: response rejected; db3: failed"
        );
    }

    #[test]
    fn source_is_the_decisive_error() {
        let error = exhausted(vec![
            failed("db0", "refused"),
            failed("db1", "reset"),
            tried("db2", Some("busy"), Cause::Rejected),
        ]);
        assert_eq!(error.source().unwrap().to_string(), "db1 says: reset");
    }

    #[test]
    fn error_shows_the_last_attempt_on_a_peer() {
        let error = exhausted(vec![
            failed("db0", "refused"),
            failed("db1", "refused"),
            failed("db0", "reset"),
        ]);
        let expected = "no peer is left to try: db1: refused; db0: reset (the last of 2 attempts)";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn first_refusal_decides_between_two() {
        let error = Error::Inconclusive {
            tried: vec![failed("db0", "denied"), failed("db1", "denied")],
        };
        assert_eq!(error.source().unwrap().to_string(), "db0 says: denied");
    }
}
