//! Lookups against a real DNS server on loopback, and on a paused clock.

mod addresses;
mod balancer;
mod failures;
#[cfg(feature = "file")]
mod file;
mod logs;
mod many;
#[cfg(feature = "metrics")]
mod metrics;
mod moved;
mod schedule;
mod srv;
mod support;
