//! What can go wrong with a real server, said so that one knows what to do.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;

/// Why a `mariadbd` could not be started, stopped or signalled.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum MariaDbError {
    /// A program is not installed.
    #[error(
        "{program} is neither in PATH nor in /usr/sbin or /usr/local/sbin; these tests need a real \
         MariaDB server: on Debian or Ubuntu, apt-get install mariadb-server"
    )]
    Missing {
        /// `mariadbd` or `mariadb-install-db`.
        program: &'static str,
    },
    /// Run by root, but there is no unprivileged user for the server.
    #[error(
        "mariadbd does not run as root, and there is no user `mysql` for it to run as; installing \
         the package mariadb-server creates one, or run the tests as an ordinary user"
    )]
    NoUser,
    /// The operating system refused something.
    #[error("could not {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// `mariadb-install-db` failed.
    #[error("mariadb-install-db failed ({status}) to fill a data directory; it said:\n{output}")]
    Install {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
    /// `mariadbd` ended before it answered.
    #[error(
        "mariadbd ended ({status}) before it answered on port {port}; the end of its log:\n{log}"
    )]
    Ended {
        /// The port it was to listen on.
        port: u16,
        /// How it ended.
        status: ExitStatus,
        /// The end of its error log.
        log: String,
    },
    /// `mariadbd` ran, but did not answer in time. It has been killed.
    #[error(
        "mariadbd did not answer on port {port} within {limit:?}; is the machine too busy? \
         The end of its log:\n{log}"
    )]
    Silent {
        /// The port it was to listen on.
        port: u16,
        /// How long it was waited for.
        limit: Duration,
        /// The end of its error log.
        log: String,
    },
    /// The server was killed or stopped before.
    #[error("mariadbd on port {port} is not running; call restart first")]
    NotRunning {
        /// The port it listened on.
        port: u16,
    },
    /// The process would not take a signal.
    #[error("could not send {signal} to mariadbd, process {pid}")]
    Signal {
        /// The signal's name.
        signal: &'static str,
        /// The server's process.
        pid: u32,
        /// What the operating system said.
        source: Errno,
    },
}

impl MariaDbError {
    /// For `map_err`: what was tried, and later why it failed.
    pub(super) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> MariaDbError {
        let action = action.into();
        move |source| MariaDbError::Io { action, source }
    }
}
