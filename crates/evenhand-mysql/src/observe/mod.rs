//! What operators see of a pool in metrics: the feature `metrics`.
//!
//! Without the feature the same types are empty and their methods do nothing, so that nothing else
//! depends on it. What a method does not always need is passed as a closure.

#[cfg(feature = "metrics")]
mod gauges;
#[cfg(feature = "metrics")]
mod metered;
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) mod outcome;
#[cfg(feature = "metrics")]
pub(crate) mod table;
#[cfg(test)]
#[cfg(feature = "metrics")]
mod tests;
#[cfg(not(feature = "metrics"))]
mod unmetered;

#[cfg(feature = "metrics")]
pub(crate) use metered::{PeerMetrics, PoolMetrics};
#[cfg(not(feature = "metrics"))]
pub(crate) use unmetered::{PeerMetrics, PoolMetrics};
