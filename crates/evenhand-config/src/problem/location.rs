//! Places in a file or in the environment.

use std::ops::Range;
use std::sync::Arc;

/// A place in the text or in the environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// These bytes of the text.
    Text(Range<usize>),
    /// This environment variable.
    Variable(Arc<str>),
}

/// The place of a value and of its key.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The path of the key, or of the index in an array, as the author of the file knows it.
    pub(crate) path: String,
    /// The key; for an item of an array, the item itself.
    pub(crate) key: Place,
    /// The value.
    pub(crate) value: Place,
}

impl Place {
    /// The beginning of the text.
    pub(crate) fn start() -> Self {
        Place::Text(0..0)
    }

    /// The variable with this name.
    pub(crate) fn variable(name: &str) -> Self {
        Place::Variable(Arc::from(name))
    }
}

impl Location {
    /// The whole document.
    pub(crate) fn document() -> Self {
        Location {
            path: String::new(),
            key: Place::start(),
            value: Place::start(),
        }
    }

    /// A path that is set by an environment variable.
    pub(crate) fn variable(path: String, name: &str) -> Self {
        Location {
            path,
            key: Place::variable(name),
            value: Place::variable(name),
        }
    }
}
