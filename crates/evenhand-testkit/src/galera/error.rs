//! What can go wrong with a cluster, said so that one knows what to do.

use std::io;
use std::time::Duration;

use crate::mariadb::MariaDbError;
use crate::sql::{self, Failure};

/// Why a cluster could not be started, or a node not be brought into a state.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum GaleraError {
    /// Galera is not installed.
    #[error(
        "Galera's library is in none of {places}; these tests need a real Galera cluster: on \
         Debian or Ubuntu, apt-get install galera-4"
    )]
    MissingProvider {
        /// Where it was looked for.
        places: String,
    },
    /// A program is not installed that a node needs to get others' data.
    #[error(
        "{program} is not installed, with which a node gets the others' data; please install it"
    )]
    Missing {
        /// The program.
        program: &'static str,
    },
    /// A cluster of no nodes was asked for.
    #[error("a cluster needs at least one node")]
    NoNodes,
    /// A node's process failed.
    #[error("{node} of the Galera cluster failed: {source}")]
    Server {
        /// The node's name.
        node: String,
        /// What failed.
        source: MariaDbError,
    },
    /// A node refused a statement, or the connection to it broke.
    #[error("{node} of the Galera cluster did not do `{statement}`")]
    Statement {
        /// The node's name.
        node: String,
        /// What was sent.
        statement: String,
        /// What it said.
        source: Box<mysql_async::Error>,
    },
    /// A node did not answer a statement.
    #[error("{node} of the Galera cluster did not answer `{statement}` within {limit:?}")]
    Mute {
        /// The node's name.
        node: String,
        /// What was sent.
        statement: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A node did not come into a state in time.
    #[error(
        "{node} of the Galera cluster was not {wanted} within {limit:?} but {found}; is the \
         machine too busy? The end of its log:\n{log}"
    )]
    NotInTime {
        /// The node's name.
        node: String,
        /// The state that was waited for.
        wanted: String,
        /// How long it was waited for.
        limit: Duration,
        /// The state it was in.
        found: String,
        /// The end of its error log.
        log: String,
    },
    /// It cannot be told how recent a node's data are.
    #[error("{node} of the Galera cluster does not know how recent its data are: {said}")]
    NoPosition {
        /// The node's name.
        node: String,
        /// What it said instead.
        said: String,
    },
    /// The operating system refused something.
    #[error("could not {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl GaleraError {
    /// For `map_err`: what was tried, and later why it failed.
    pub(super) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> GaleraError {
        let action = action.into();
        move |source| GaleraError::Io { action, source }
    }

    /// For `map_err`: whose process failed.
    pub(super) fn of(node: &str) -> impl FnOnce(MariaDbError) -> GaleraError {
        let node = node.to_owned();
        move |source| GaleraError::Server { node, source }
    }

    /// For `map_err`: who was asked what.
    pub(super) fn asked(node: &str, statement: &str) -> impl FnOnce(Failure) -> GaleraError {
        let (node, statement) = (node.to_owned(), statement.to_owned());
        move |failure| match failure {
            Failure::Driver(source) => GaleraError::Statement {
                node,
                statement,
                source,
            },
            Failure::Mute => GaleraError::Mute {
                node,
                statement,
                limit: sql::LIMIT,
            },
            Failure::Io(source) => GaleraError::Io {
                action: format!("ask {node} for `{statement}`"),
                source,
            },
        }
    }
}
