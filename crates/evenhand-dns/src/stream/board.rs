//! What the lookups' tasks, the stream of changes and its handles share.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::lookup::address::Address;
use crate::lookup::error::Error;

/// What is known of a source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceStatus {
    /// Its [name](crate::Source::name).
    pub source: Arc<str>,
    /// What it lists now: the last answer, and what is kept of earlier ones.
    pub addresses: Arc<[Address]>,
    /// When the last answer came. `None` if none has come yet.
    pub answered: Option<Instant>,
    /// Why the last lookup gave no list, or no whole one. `None` if it did, or if none has ended yet.
    pub error: Option<Arc<Error>>,
}

impl SourceStatus {
    /// Whether a lookup has ended, well or not.
    pub fn is_settled(&self) -> bool {
        self.answered.is_some() || self.error.is_some()
    }
}

/// The state of each source, and a bell that asks for lookups.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) sources: watch::Sender<Vec<SourceStatus>>,
    pub(crate) bell: watch::Sender<()>,
}

impl Board {
    pub(crate) fn new(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        let status = |source| SourceStatus {
            source,
            addresses: Arc::new([]),
            answered: None,
            error: None,
        };
        Self {
            sources: watch::Sender::new(names.into_iter().map(status).collect()),
            bell: watch::Sender::new(()),
        }
    }
}
