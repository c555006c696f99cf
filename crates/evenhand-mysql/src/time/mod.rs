//! Time limits and jitter.
//!
//! Knows nothing of the rest of the crate.

pub(crate) mod deadline;
pub(crate) mod jitter;
