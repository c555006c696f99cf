//! What is wrong with a file: as text, as data, and with the lines of the file. No message contains a URL or
//! a password, because messages end up in logs. Knows nothing of keys or formats.

mod error;
mod finding;
mod location;
mod mask;
pub(crate) mod name;
mod problems;
mod render;
mod report;

pub use self::error::Error;
pub(crate) use self::finding::Finding;
pub(crate) use self::location::{Location, Place};
pub(crate) use self::mask::Mask;
pub use self::problems::{Problem, Problems, Severity};
pub(crate) use self::report::Report;
