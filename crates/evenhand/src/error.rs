//! What a request that failed has to say: which peers were tried, and what each answered.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

/// A request failed. Names every peer that was tried, each with its own cause.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The peer set is empty.
    NoPeers,
    /// Peers are up, but the pick chose none: every one of them weighs nothing.
    NonePicked,
    /// The connector's `poll_ready` failed, before any peer was picked.
    NotReady(E),
    /// No peer is left to try: each is ejected, or was tried and may not be tried again.
    #[non_exhaustive]
    NoneLeft {
        /// The attempts, in order. Empty if all peers were down already.
        tried: Vec<Tried<E>>,
        /// When the next ejected peer is due for a probe, if any is ejected.
        next_due: Option<Instant>,
    },
    /// The last attempt failed in a way that allows no other one.
    #[non_exhaustive]
    Failed {
        /// The attempts, in order; the last one decided.
        tried: Vec<Tried<E>>,
    },
    /// Two peers gave the same doubtful answer (see [`PeerVerdict::Suspect`]), so it is held to be
    /// the caller's fault and nobody was ejected.
    ///
    /// [`PeerVerdict::Suspect`]: crate::PeerVerdict::Suspect
    #[non_exhaustive]
    Agreed {
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
    /// What came of it.
    pub cause: Cause<E>,
}

/// What came of an attempt that failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// The connector's error.
    Error(E),
    /// A response that the classifier turned down, and why if it said so.
    Rejected(Option<&'static str>),
}

impl<E> Error<E> {
    /// The attempts that were made, in order.
    pub fn tried(&self) -> &[Tried<E>] {
        match self {
            Self::NoPeers | Self::NonePicked | Self::NotReady(_) => &[],
            Self::NoneLeft { tried, .. } | Self::Failed { tried } | Self::Agreed { tried } => tried,
        }
    }

    /// When the next ejected peer is due for a probe, if the request failed for want of a peer.
    pub fn next_due(&self) -> Option<Instant> {
        match self {
            Self::NoneLeft { next_due, .. } => *next_due,
            _ => None,
        }
    }

    /// The connector's error that best tells what happened: the first one where two peers agreed,
    /// the last one otherwise. `None` if there was none.
    pub fn cause(&self) -> Option<&E> {
        let error = |tried: &'_ Tried<E>| matches!(tried.cause, Cause::Error(_));
        let tried = match self {
            Self::NotReady(error) => return Some(error),
            Self::Agreed { tried } => tried.iter().find(|tried| error(tried)),
            _ => self.tried().iter().rfind(|tried| error(tried)),
        };
        match &tried?.cause {
            Cause::Error(error) => Some(error),
            Cause::Rejected(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPeers => return f.write_str("the peer set is empty"),
            Self::NonePicked => return f.write_str("every peer that is up weighs nothing"),
            Self::NotReady(error) => return write!(f, "the connector is not ready: {error}"),
            Self::NoneLeft { tried, .. } if tried.is_empty() => {
                f.write_str("all peers are down")?
            }
            Self::NoneLeft { .. } => f.write_str("no peer is left to try")?,
            Self::Failed { .. } => f.write_str("the request failed")?,
            Self::Agreed { .. } => f.write_str("two peers gave the same answer")?,
        }
        if let Some(due) = self.next_due() {
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                f.write_str(" (the next one is due now)")?;
            } else {
                write!(f, " (the next one is due in {wait:.1?})")?;
            }
        }
        let tried = self.tried();
        let mut separator = ":";
        for (i, attempt) in tried.iter().enumerate() {
            // A request that waited may have tried a peer again and again: its last word tells.
            if tried[i + 1..]
                .iter()
                .any(|later| later.peer == attempt.peer)
            {
                continue;
            }
            write!(f, "{separator} {attempt}")?;
            let times = tried
                .iter()
                .filter(|other| other.peer == attempt.peer)
                .count();
            if times > 1 {
                write!(f, " (the last of {times} attempts)")?;
            }
            separator = ";";
        }
        Ok(())
    }
}

impl<E: fmt::Display> fmt::Display for Tried<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Error(error) => write!(f, "{}: {error}", self.peer),
            Cause::Rejected(Some(reason)) => write!(f, "{}: {reason}", self.peer),
            Cause::Rejected(None) => write!(f, "{}: its response was turned down", self.peer),
        }
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
    use std::io;

    fn tried(peer: &str, cause: Cause<io::Error>) -> Tried<io::Error> {
        Tried {
            peer: peer.into(),
            cause,
        }
    }

    #[test]
    fn it_names_every_peer_with_its_own_cause() {
        let error = Error::NoneLeft {
            tried: vec![
                tried("db0", Cause::Error(io::Error::other("refused"))),
                tried("db1", Cause::Rejected(Some("busy"))),
                tried("db2", Cause::Error(io::Error::other("reset"))),
            ],
            next_due: None,
        };
        assert_eq!(
            error.to_string(),
            "no peer is left to try: db0: refused; db1: busy; db2: reset"
        );
        assert_eq!(error.cause().unwrap().to_string(), "reset");
    }

    #[test]
    fn it_tells_the_last_of_several_attempts_on_one_peer() {
        let refused = || Cause::Error(io::Error::other("refused"));
        let reset = Cause::Error(io::Error::other("reset"));
        let tried = vec![
            tried("db0", refused()),
            tried("db1", refused()),
            tried("db0", reset),
        ];
        let error = Error::NoneLeft {
            tried,
            next_due: None,
        };
        let expected = "no peer is left to try: db1: refused; db0: reset (the last of 2 attempts)";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_first_answer_stands_where_two_peers_agree() {
        let error = Error::Agreed {
            tried: vec![
                tried("db0", Cause::Error(io::Error::other("access denied"))),
                tried("db1", Cause::Error(io::Error::other("access denied too"))),
            ],
        };
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "access denied"
        );
    }
}
