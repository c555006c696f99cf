//! What can go wrong, and on which peer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenhand::PeersError;

use crate::url::UrlError;
use crate::usage::{PeerUsage, Usage};

/// An error of a [`Pool`](crate::Pool).
///
/// Converts into [`mysql_async::Error`] (as its `Other`), so that `?` works in functions that were
/// written for `mysql_async::Pool`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pool needs at least one peer.
    #[error("a pool needs at least one peer")]
    NoPeers,
    /// Two peers have the same name, or there are too many.
    #[error(transparent)]
    Peers(#[from] PeersError),
    /// A peer's URL or options are not valid.
    #[error("peer `{peer}`: its connection options are not valid: {source}")]
    #[non_exhaustive]
    Options {
        /// The peer's name.
        peer: Arc<str>,
        /// What `mysql_async` says of them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A URL for a whole pool is not valid.
    #[error("the pool's url is not valid: {0}")]
    Url(#[from] UrlError),
    /// All connections that may be out at a time were in use until the checkout's time was up. No
    /// peer is to blame, and none was blamed: the callers want more than the pool's limits allow.
    #[error("no free connection after {waited:.1?}: {usage}")]
    #[non_exhaustive]
    Full {
        /// How long the checkout took.
        waited: Duration,
        /// What was in use then, by peer and in all, and the limits.
        usage: Usage,
        /// Every peer that was tried; `None` where the limit in all let it try none.
        source: Option<Box<evenhand::Error<AttemptError>>>,
    },
    /// No connection was to be had. The source names every peer that was tried.
    #[error("no connection after {waited:.1?}: {source}")]
    #[non_exhaustive]
    Checkout {
        /// How long the checkout took.
        waited: Duration,
        /// Every peer tried, each with its own cause, and when the next is due.
        source: evenhand::Error<AttemptError>,
    },
    /// Idempotent work, or a transaction, was not done.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The peer was found lost while an operation on a connection to it was waiting: two checks in
    /// a row got no answer at all. Whether a statement was executed is unknown. See
    /// [`PoolOptions::end_on_lost_peer`](crate::PoolOptions::end_on_lost_peer).
    #[error("peer `{peer}` was found lost when it had been waited for {waited:.1?}")]
    #[non_exhaustive]
    PeerLost {
        /// The peer's name.
        peer: Arc<str>,
        /// How long the operation had waited.
        waited: Duration,
    },
    /// A `COMMIT` was sent, and its answer did not come: **it may have happened or not**. It was
    /// not sent again, nor was any of the transaction's work done again.
    #[error("peer `{peer}`: no answer to COMMIT, whether it happened is unknown: {source}")]
    #[non_exhaustive]
    OutcomeUnknown {
        /// The peer's name.
        peer: Arc<str>,
        /// What happened instead: an error of the driver, [`Error::PeerLost`] in one, or
        /// [`AttemptError::OutOfTime`].
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no database of this alias.
    #[error("no database `{alias}`; there are: {}", known.join(", "))]
    #[non_exhaustive]
    UnknownDatabase {
        /// The alias that was asked for.
        alias: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The pool was disconnected.
    #[error("the pool was disconnected")]
    Disconnected,
    /// Connections to these peers did not end within the time limit of
    /// [`Pool::disconnect`](crate::Pool::disconnect). They were left to close when they are
    /// returned.
    #[error("connections to {} were not returned or closed within {limit:?}", peers.join(", "))]
    #[non_exhaustive]
    StillOpen {
        /// The peers' names.
        peers: Vec<String>,
        /// The time limit.
        limit: Duration,
    },
}

impl Error {
    /// The first of these errors in `error` and its sources, also within an error of the driver,
    /// where most of them come.
    ///
    /// ```
    /// use evenhand_mysql::{Error, mysql_async};
    ///
    /// let from_the_driver = mysql_async::Error::from(Error::Disconnected);
    /// assert!(matches!(Error::find(&from_the_driver), Some(Error::Disconnected)));
    /// ```
    pub fn find<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = match error.downcast_ref() {
                Some(mysql_async::Error::Other(inner)) => Some(&**inner),
                _ => error.source(),
            };
        }
        None
    }

    pub(crate) fn outcome_unknown(
        peer: Arc<str>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        Self::OutcomeUnknown { peer, source }
    }
}

impl From<Error> for mysql_async::Error {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Why an attempt on one peer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// Connecting, logging in or setting up the connection failed.
    #[error("{0}")]
    Connect(#[source] mysql_async::Error),
    /// The peer gave no connection in time.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The peer gave no connection in time, though it answered others meanwhile.
    #[error("no connection within {0:?}, though it answered others meanwhile")]
    Slow(Duration),
    /// All of this pool's connections to the peer were in use, or waiting for their login, until
    /// the checkout's time was up.
    #[error("no free connection: {0}")]
    NoFreeConnection(PeerUsage),
    /// As before, but another peer had a connection to spare.
    #[error("no free connection: {0}")]
    Busy(PeerUsage),
    /// The caller's time was up while the attempt was under way.
    #[error("the caller's time was up")]
    OutOfTime,
    /// The peer was ejected while the attempt waited for it.
    #[error("it was ejected meanwhile")]
    Ejected,
    /// The pool was disconnected meanwhile.
    #[error("the pool was disconnected")]
    Disconnected,
    /// The same work was tried on it before.
    #[error("it was tried before")]
    Avoided,
    /// A try of idempotent work took too long.
    #[error("the work took longer than {0:?}")]
    TryTimedOut(Duration),
    /// A try of idempotent work or of a transaction lost its connection. The source is the work's
    /// own error.
    #[error("the connection was lost: {0}")]
    ConnectionLost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server undid a try of a transaction, and asked for it to be started again: a deadlock, or
    /// a lock that was waited for too long. The source is the work's own error.
    #[error("the transaction was rolled back: {0}")]
    RolledBack(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Idempotent work, or a transaction, was not done. Names every peer that was tried.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkError {
    /// How long all its tries took.
    pub waited: Duration,
    /// The tries that had a connection, in order.
    pub tries: Vec<FailedTry>,
    /// Why there was no connection for another try; `None` if the time was up
    /// or no more tries were allowed.
    pub checkout: Option<Box<Error>>,
}

/// A try of idempotent work, or of a transaction, that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedTry {
    /// The peer's name.
    pub peer: Arc<str>,
    /// What came of it.
    pub cause: AttemptError,
}

impl WorkError {
    pub(crate) fn new(waited: Duration, tries: Vec<FailedTry>, checkout: Option<Error>) -> Self {
        Self {
            waited,
            tries,
            checkout: checkout.map(Box::new),
        }
    }
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the work was not done after {:.1?}", self.waited)?;
        for (i, FailedTry { peer, cause }) in self.tries.iter().enumerate() {
            write!(f, "{} {peer}: {cause}", if i == 0 { ":" } else { ";" })?;
        }
        match &self.checkout {
            Some(error) if self.tries.is_empty() => write!(f, ": {error}"),
            Some(error) => write!(f, "; then {error}"),
            None => f.write_str("; then the time was up"),
        }
    }
}

impl std::error::Error for WorkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.checkout, self.tries.last()) {
            (Some(error), _) => Some(&**error),
            (None, last) => last.map(|failed| &failed.cause as _),
        }
    }
}
