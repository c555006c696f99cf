//! Lookups against a real DNS server on loopback, and on a paused clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

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
mod resolver;
mod schedule;
mod srv;
mod support;
