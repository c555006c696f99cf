//! Why a request failed: which peers were tried, and what came of each attempt.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::classify::{PeerVerdict, Retry, Verdict};

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
}

/// A peer that was tried, and what came of the last attempt there.
#[derive(Debug)]
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

/// How much an outcome says, of two outcomes of one request. See [`Error::cause`].
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
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// The connector's error.
    Error(E),
    /// A response whose verdict allowed a retry. The response itself is not kept.
    Rejected,
}

impl<E> Error<E> {
    /// The peers that were tried, in the order in which they were first asked.
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
            Cause::Rejected => None,
        });
        errors.max_by_key(|(rank, _)| *rank).map(|(_, error)| error)
    }
}

/// How many peers an error's text names.
const NAMED: usize = 5;

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPeers => "the peer set is empty",
            Self::ZeroWeight => "every peer that is up has weight 0",
            Self::NotReady(_) => "the connector is not ready",
            Self::Exhausted { tried, .. } if tried.is_empty() => "all peers are down",
            Self::Exhausted { .. } => "no peer is left to try",
            Self::Failed { .. } => "the request failed",
            Self::Inconclusive { .. } => "the peers refused the request",
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

impl<E> Tried<E> {
    fn text(&self) -> &'static str {
        self.reason.unwrap_or(match self.cause {
            Cause::Error(_) => "failed",
            Cause::Rejected => "response rejected",
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
            attempts: 1,
            rank: Rank::new(&Verdict::down().safe(), 0),
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

    fn ranked(peer: &str, verdict: Verdict, id: u64) -> Tried<io::Error> {
        Tried {
            rank: Rank::new(&verdict, id),
            ..failed(peer, "said")
        }
    }

    #[test]
    fn source_is_the_error_that_says_most() {
        let all = [
            Verdict::down().if_idempotent(),
            Verdict::suspect().safe(),
            Verdict::neutral().busy(),
            Verdict::degraded().safe(),
            Verdict::down().safe(),
        ];
        for (more, less) in all.iter().zip(&all[1..]) {
            for order in [[more, less], [less, more]] {
                let rank = |verdict: &Verdict| ranked(&format!("{verdict:?}"), *verdict, 0);
                let error = exhausted(order.map(rank).into());
                let expected = format!("{more:?} says: said");
                assert_eq!(error.source().unwrap().to_string(), expected);
            }
        }
    }

    #[test]
    fn of_equal_errors_that_of_the_first_peer_is_the_source() {
        let verdict = Verdict::down().safe();
        let error = exhausted(vec![ranked("db1", verdict, 1), ranked("db0", verdict, 0)]);
        assert_eq!(error.source().unwrap().to_string(), "db0 says: said");
    }

    #[test]
    fn error_shows_how_often_a_peer_was_tried() {
        let mut tried = vec![failed("db0", "reset"), failed("db1", "refused")];
        tried[0].attempts = 2;
        let expected = "no peer is left to try: db0: reset (the last of 2 attempts); db1: refused";
        assert_eq!(exhausted(tried).to_string(), expected);
    }

    #[test]
    fn error_of_many_peers_has_a_short_text() {
        let reason = |i: usize| {
            if i.is_multiple_of(3) {
                "reset"
            } else {
                "refused"
            }
        };
        let tried = (0..10_000).map(|i| failed(&format!("db{i}"), reason(i)));
        let error = exhausted(tried.collect());
        assert_eq!(error.tried().len(), 10_000);
        assert_eq!(
            error.to_string(),
            "no peer is left to try: db0: reset; db1: refused; db2: refused; db3: reset; \
             db4: refused; and 9995 more peers (of 10000 in all, 6666: refused)"
        );
    }
}
