//! A change to a peer set that cannot be made.

use std::fmt;
use std::sync::Arc;

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
