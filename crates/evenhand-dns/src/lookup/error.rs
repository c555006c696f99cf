//! Why a lookup gave no list, or no whole one.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

/// The error of a lookup that the caller wrote.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a lookup gave no list, or why a name cannot be looked up. The error that caused it, if any, is its
/// [`source`](StdError::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name does not exist: `NXDOMAIN`.
    #[error("`{name}` does not exist")]
    NotFound {
        /// What was looked up.
        name: Arc<str>,
    },
    /// The answer has no address.
    #[error("`{name}` has no addresses")]
    Empty {
        /// What was looked up.
        name: Arc<str>,
    },
    /// No answer came in time.
    #[error("the lookup of `{name}` took longer than {limit:?}")]
    TimedOut {
        /// What was looked up.
        name: Arc<str>,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The name server refused or failed, could not be reached, or the caller's own lookup failed.
    #[error("the lookup of `{name}` failed")]
    Failed {
        /// What was looked up.
        name: Arc<str>,
        /// Why.
        source: BoxError,
    },
    /// The caller's own lookup panicked.
    #[error("the lookup of `{name}` panicked")]
    Panicked {
        /// What was looked up.
        name: Arc<str>,
    },
    /// A text that names nothing.
    #[error("`{text}` is no name to look up: {reason}")]
    Name {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The stream of changes was dropped before each source had been looked up.
    #[error("the stream of changes was dropped")]
    Ended,
    /// The resolver could not be set up: the system's configuration cannot be read, or the given one is
    /// not valid.
    #[error("the resolver cannot be set up")]
    Resolver {
        /// Why.
        source: BoxError,
    },
}

/// An error and its sources in one line, for the log.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text += ": ";
        text += &error.to_string();
        next = error.source();
    }
    text
}
