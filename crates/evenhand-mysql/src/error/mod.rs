//! The crate's errors: what failed, and on which peer.

pub(crate) mod as_driver;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use evenhand::PeersError;

use crate::url::UrlError;
use crate::usage::{PeerUsage, Usage};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// An error of a [`Pool`](crate::Pool).
///
/// A pool returns it as a [`mysql_async::Error`], so that `?` and a `match` that were written for
/// `mysql_async::Pool` go on to work. [`Error::find`] finds it there.
///
/// | error | as a [`mysql_async::Error`] |
/// | --- | --- |
/// | [`Checkout`](Self::Checkout) that a server's refusal decided | [`Server`](mysql_async::Error::Server), with the server's code and state; the peer's name and the rest follow the server's message. Nothing is left to find |
/// | any other [`Checkout`](Self::Checkout), [`Work`](Self::Work), [`PeerLost`](Self::PeerLost) | [`Io`](mysql_async::Error::Io), around an [`io::Error`](std::io::Error) of a fitting kind that carries this one |
/// | [`Disconnected`](Self::Disconnected) | [`DriverError::PoolDisconnected`](mysql_async::DriverError::PoolDisconnected). Nothing is left to find |
/// | all others | [`Other`](mysql_async::Error::Other), which carries this one |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The list of peers was empty.
    #[error("a pool needs at least one peer")]
    NoPeers,
    /// Two peers have the same name, or no peer has this name.
    #[error(transparent)]
    Peers(#[from] PeersError),
    /// A peer's URL or options are invalid.
    #[error("invalid connection options for peer `{peer}`: {cause}")]
    #[non_exhaustive]
    Options {
        /// The peer's name, or its place in the list, such as `number 2`, if it has none.
        peer: Arc<str>,
        /// What is wrong. `Display` shows it, so it is not the [source](std::error::Error::source).
        cause: AnyError,
    },
    /// The URL of a whole pool is invalid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// All connections that the limits allow were in use until the checkout's time limit. No peer is
    /// blamed.
    #[error("no free connection after {waited:.1?}: {usage}")]
    #[non_exhaustive]
    Full {
        /// How long the checkout took.
        waited: Duration,
        /// The connections in use at that moment, for each peer and in total, and the limits.
        usage: Usage,
        /// The peers that were tried; `None` if no permit of
        /// [`max_connections`](crate::PoolOptions::max_connections) came free, so that none was.
        tried: Option<Box<evenhand::Error<AttemptError>>>,
    },
    /// No peer gave a connection.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// Idempotent work or a transaction was not completed.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// Consecutive checks, two unless [set](crate::HealthCheck::lost_after), found the peer silent while an operation waited for it. Whether the
    /// statement was executed is unknown. See
    /// [`PoolOptions::end_on_lost_peer`](crate::PoolOptions::end_on_lost_peer).
    #[error("peer `{peer}` was found lost after {waited:.1?} of waiting for it")]
    #[non_exhaustive]
    PeerLost {
        /// The peer's name.
        peer: Arc<str>,
        /// How long the operation had waited.
        waited: Duration,
    },
    /// A `COMMIT` was sent and its answer did not arrive: **it may or may not have been committed**.
    /// Neither the `COMMIT` nor any of the transaction's work was repeated.
    #[error("peer `{peer}` did not answer COMMIT: whether it was committed is unknown")]
    #[non_exhaustive]
    OutcomeUnknown {
        /// The peer's name.
        peer: Arc<str>,
        /// Why there was no answer: an error of the driver, [`Error::PeerLost`] in one, or
        /// [`AttemptError::OutOfTime`].
        source: AnyError,
    },
    /// No database has this alias.
    #[error("no database `{alias}`; known: {}", known.join(", "))]
    #[non_exhaustive]
    UnknownDatabase {
        /// The alias that was asked for.
        alias: String,
        /// The known aliases.
        known: Vec<String>,
    },
    /// The pool was disconnected.
    #[error("the pool was disconnected")]
    Disconnected,
    /// Connections to these peers were still in use at the time limit of
    /// [`Pool::disconnect`](crate::Pool::disconnect). They are closed when they are returned.
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
    /// The first error of this type in `error` and its sources. Looks into
    /// [`mysql_async::Error::Other`] and into [`io::Error`]s, too.
    ///
    /// ```
    /// use evenhand_mysql::{Error, mysql_async};
    ///
    /// let from_the_driver = mysql_async::Error::from(Error::NoPeers);
    /// assert!(matches!(Error::find(&from_the_driver), Some(Error::NoPeers)));
    /// ```
    pub fn find<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // The sources of these two begin below what they carry.
            let carried = match (error.downcast_ref(), error.downcast_ref::<io::Error>()) {
                (Some(mysql_async::Error::Other(inner)), _) => Some(&**inner),
                (_, Some(error)) => error.get_ref(),
                _ => None,
            };
            next = match carried {
                Some(carried) => Some(carried),
                None => error.source(),
            };
        }
        None
    }

    pub(crate) fn outcome_unknown(peer: Arc<str>, source: impl Into<AnyError>) -> Self {
        let source = source.into();
        Self::OutcomeUnknown { peer, source }
    }
}

/// Why an attempt on one peer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// Connecting, logging in or setting up the connection failed.
    #[error(transparent)]
    Connect(mysql_async::Error),
    /// The peer gave no connection within the
    /// [connect timeout](crate::PoolOptions::connect_timeout).
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The peer gave no connection in time, although it answered others meanwhile.
    #[error("no connection within {0:?}, although the peer answered others meanwhile")]
    Slow(Duration),
    /// All of this pool's connections to the peer were in use, or waiting for their login, until
    /// the checkout's time limit.
    #[error("no free connection: {0}")]
    NoFreeConnection(PeerUsage),
    /// As [`NoFreeConnection`](Self::NoFreeConnection), but another peer had a free connection.
    #[error("no free connection: {0}")]
    Busy(PeerUsage),
    /// The caller's time limit passed during the attempt: that of the checkout or of the work.
    #[error("the caller's time limit passed")]
    OutOfTime,
    /// The peer was ejected while the attempt waited for it.
    #[error("the peer was ejected meanwhile")]
    Ejected,
    /// The pool was disconnected during the attempt.
    #[error("the pool was disconnected")]
    Disconnected,
    /// The peer was not tried: the same work failed on it, and the peer has answered nothing since; or it
    /// may have run on as many others as [`max_unknown`](crate::PoolOptions::max_unknown) allows.
    #[error("not tried, as the same work failed on it, or on as many others as may run it")]
    Avoided,
    /// A try of idempotent work took longer than the
    /// [try timeout](crate::PoolOptions::try_timeout).
    #[error("the work took longer than {0:?}")]
    TryTimedOut(Duration),
    /// A try of idempotent work or of a transaction lost its connection. The source is the driver's
    /// error, or a copy of it; of a transaction the work's own error.
    #[error("the connection was lost")]
    ConnectionLost(#[source] AnyError),
    /// The server rolled back a try of a transaction and asked for a restart: a deadlock, or a lock
    /// wait timeout. The source is the work's own error.
    #[error("the transaction was rolled back")]
    RolledBack(#[source] AnyError),
}

/// No peer gave a connection. `Display` shows every peer that was tried with the reason; the source is
/// the decisive error.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckoutError {
    /// How long the checkout took.
    pub waited: Duration,
    /// Every peer that was tried, each with its own cause, and when the next probe is due.
    pub tried: evenhand::Error<AttemptError>,
    /// The pool was first used in another tokio runtime. If that has ended, the pool's connections do not
    /// work any more.
    pub other_runtime: bool,
}

impl fmt::Display for CheckoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection after {:.1?}", self.waited)?;
        if self.other_runtime {
            f.write_str(", in another tokio runtime than the one to which the pool belongs")?;
        }
        write!(f, ": {}", self.tried)
    }
}

impl std::error::Error for CheckoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.tried.source()
    }
}

/// Idempotent work or a transaction was not completed. `Display` shows the first tries; the source is
/// the cause of the last one.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkError {
    /// The time from the start of the work to this error.
    pub waited: Duration,
    /// The tries that had a connection and failed, in order. Never empty.
    pub tries: Vec<FailedTry>,
    /// Why there was no connection for another try; `None` if the time was up or no more tries were
    /// allowed.
    pub checkout: Option<Box<Error>>,
}

/// A failed try of idempotent work or of a transaction.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedTry {
    /// The peer's name.
    pub peer: Arc<str>,
    /// Why it failed.
    pub cause: AttemptError,
}

impl FailedTry {
    pub(crate) fn new(peer: Arc<str>, cause: AttemptError) -> Self {
        Self { peer, cause }
    }
}

impl WorkError {
    pub(crate) fn new(waited: Duration, tries: Vec<FailedTry>, checkout: Option<Error>) -> Self {
        Self {
            waited,
            tries,
            checkout: checkout.map(Box::new),
        }
    }

    pub(crate) fn into_driver(self) -> mysql_async::Error {
        Error::from(self).into()
    }
}

/// How many tries an error's text names.
const NAMED: usize = 5;

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the work was not completed after {:.1?}", self.waited)?;
        for (i, FailedTry { peer, cause }) in self.tries.iter().take(NAMED).enumerate() {
            write!(f, "{} {peer}: {cause}", if i == 0 { ":" } else { ";" })?;
        }
        if let Some(more) = self.tries.len().checked_sub(NAMED + 1) {
            write!(f, "; and {} more", more + 1)?;
        }
        match &self.checkout {
            Some(error) => write!(f, "; then {error}"),
            None => f.write_str("; no time or attempts were left"),
        }
    }
}

impl std::error::Error for WorkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.tries.last().map(|failed| &failed.cause as _)
    }
}
