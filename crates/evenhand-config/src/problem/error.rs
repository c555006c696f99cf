//! Why there is no configuration.

use std::io;
use std::path::PathBuf;

use super::problems::Problems;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read: it does not exist, access is denied, or it is not UTF-8.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The path that was given.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file was read, and something in it is wrong.
    #[error("{0}")]
    Invalid(Problems),
}

impl Error {
    /// The error as a person wants to see it: a file that cannot be read with the reason, problems with
    /// their lines of the file (see [`Problems::render`]).
    pub fn report(&self) -> String {
        match self {
            Error::Read { source, .. } => format!("error: {self}: {source}"),
            Error::Invalid(problems) => problems.render(),
        }
    }
}
