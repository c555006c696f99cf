//! What can go wrong with a group, said so that one knows what to do.

use std::io;
use std::time::Duration;

use crate::mariadb::MariaDbError;

/// Why a group could not be started, or a member not be brought into a state.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// A member's process failed.
    #[error("{member} of the group failed: {source}")]
    Server {
        /// The member's name.
        member: String,
        /// What failed.
        source: MariaDbError,
    },
    /// A member refused a statement, or did not answer it.
    #[error("{member} of the group did not do `{statement}`: {why}; the end of its log:\n{log}")]
    Statement {
        /// The member's name.
        member: String,
        /// What was sent.
        statement: String,
        /// What it said.
        why: String,
        /// The end of its error log.
        log: String,
    },
    /// A member did not come into a state in time.
    #[error(
        "{member} of the group was not {wanted} within {limit:?}; is the machine too busy? The end \
         of its log:\n{log}"
    )]
    NotInTime {
        /// The member's name.
        member: String,
        /// The state that was waited for.
        wanted: String,
        /// How long it was waited for.
        limit: Duration,
        /// The end of its error log.
        log: String,
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

impl GroupError {
    /// For `map_err`: what was tried.
    pub(super) fn io(action: &str) -> impl FnOnce(io::Error) -> GroupError {
        let action = action.to_owned();
        move |source| GroupError::Io { action, source }
    }

    /// For `map_err`: whose process failed.
    pub(super) fn of(member: &str) -> impl FnOnce(MariaDbError) -> GroupError {
        let member = member.to_owned();
        move |source| GroupError::Server { member, source }
    }
}
