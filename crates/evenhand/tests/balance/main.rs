//! The balancer's behaviour, through its public interface, on a paused clock and a seeded generator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

mod active_checks;
mod all_down;
mod cancellation;
mod common;
#[cfg(feature = "discover")]
mod discover;
mod django_proxysql;
mod failover;
mod fairness;
mod hedge;
mod late_outcomes;
#[cfg(feature = "metrics")]
mod metrics;
mod observe;
mod operators;
mod panics;
mod peers;
mod picks;
mod probe_now;
mod recovery;
mod seen;
#[cfg(feature = "serde")]
mod serde;
mod shortage;
mod stacking;
mod stress;
mod suspect;
mod tickets;
mod time_limits;
mod user_code;
