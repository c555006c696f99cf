//! What can go wrong with a real server, said so that one knows what to do.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;

/// Why a server could not be started, stopped or signalled.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum MariaDbError {
    /// A program is not installed.
    #[error(
        "{program} is neither in PATH nor in /usr/sbin or /usr/local/sbin; these tests need a real \
         MariaDB or MySQL server: on Debian or Ubuntu, apt-get install mariadb-server, or name \
         another server's program in EVENHAND_MYSQLD"
    )]
    Missing {
        /// `mariadbd` or `mariadb-install-db`.
        program: &'static str,
    },
    /// A program does not tell its version, so it is none of a server's.
    #[error("{program} --version failed ({status}): is it a server's program? It said:\n{output}")]
    Unusable {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
    /// Run by root, but there is no unprivileged user for the server.
    #[error(
        "a server does not run as root, and there is no user `mysql` for it to run as; installing \
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
    /// A data directory could not be filled.
    #[error("{program} failed ({status}) to fill a data directory; it said:\n{output}")]
    Install {
        /// What was to fill it.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
    /// The server ended before it answered.
    #[error(
        "the server ended ({status}) before it answered on port {port}; the end of its log:\n{log}"
    )]
    Ended {
        /// The port it was to listen on.
        port: u16,
        /// How it ended.
        status: ExitStatus,
        /// The end of its error log.
        log: String,
    },
    /// The server ran, but did not answer in time. It has been killed.
    #[error(
        "the server did not answer on port {port} within {limit:?}: {met}; is the machine too \
         busy? The end of its log:\n{log}"
    )]
    Silent {
        /// The port it was to listen on.
        port: u16,
        /// How long it was waited for.
        limit: Duration,
        /// What the last client was met with.
        met: String,
        /// The end of its error log.
        log: String,
    },
    /// The server was killed or stopped before.
    #[error("the server on port {port} is not running; call restart first")]
    NotRunning {
        /// The port it listened on.
        port: u16,
    },
    /// The process would not take a signal.
    #[error("could not send {signal} to the server, process {pid}")]
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
