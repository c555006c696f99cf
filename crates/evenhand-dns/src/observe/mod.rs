//! What is counted, with the feature `metrics`.

pub(crate) mod meter;
#[cfg(feature = "metrics")]
pub(crate) mod table;
