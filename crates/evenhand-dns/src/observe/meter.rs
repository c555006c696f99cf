//! What is counted where it happens. Without the feature `metrics`, nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::lookup::error::Error;
use crate::lookup::found::Found;

#[cfg(feature = "metrics")]
use std::panic::{AssertUnwindSafe, catch_unwind};

#[cfg(feature = "metrics")]
use crate::observe::table::{ADDRESSES, CHANGES, LOOKUP_SECONDS, LOOKUPS};

/// Records. The recorder is the user's: if it panics, the lookups go on.
#[cfg(feature = "metrics")]
fn record(to: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(to)).is_err() {
        tracing::error!("a recorder of metrics panicked");
    }
}

/// Lookups begin.
#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    let table = crate::observe::table::METRICS.iter();
    record(|| table.for_each(evenhand::Metric::describe));
}

/// A lookup ended.
#[cfg(feature = "metrics")]
pub(crate) fn looked_up(source: &Arc<str>, outcome: &Result<Found, Error>, took: Duration) {
    let outcome = match outcome {
        Ok(found) if found.lost.is_empty() => "answered",
        Ok(_) => "partial",
        Err(Error::Empty { .. } | Error::NotFound { .. }) => "empty",
        Err(_) => "failed",
    };
    record(|| {
        metrics::counter!(LOOKUPS, "source" => source.clone(), "outcome" => outcome).increment(1);
        metrics::histogram!(LOOKUP_SECONDS, "source" => source.clone()).record(took);
    });
}

/// A source lists this many addresses.
#[cfg(feature = "metrics")]
pub(crate) fn listed(source: &Arc<str>, addresses: usize) {
    record(|| metrics::gauge!(ADDRESSES, "source" => source.clone()).set(addresses as f64));
}

/// A change was told.
#[cfg(feature = "metrics")]
pub(crate) fn changed(source: &Arc<str>, change: &'static str) {
    record(|| {
        metrics::counter!(CHANGES, "source" => source.clone(), "change" => change).increment(1);
    });
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn describe() {}
#[cfg(not(feature = "metrics"))]
pub(crate) fn looked_up(_: &Arc<str>, _: &Result<Found, Error>, _: Duration) {}
#[cfg(not(feature = "metrics"))]
pub(crate) fn listed(_: &Arc<str>, _: usize) {}
#[cfg(not(feature = "metrics"))]
pub(crate) fn changed(_: &Arc<str>, _: &'static str) {}
