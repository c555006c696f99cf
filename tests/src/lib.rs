//! What the tests on real servers share: servers, waiting, and a load that keeps count.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

use std::time::Duration;

use evenhand_mysql::evenhand::{EventKind, Events, State};
use evenhand_mysql::{Pool, PoolOptions};
use evenhand_testkit::MariaDb;
use tokio::time::{Instant, sleep};

pub mod accounting;
pub mod load;
pub mod mixed;
pub mod scene;
pub mod sql;

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The pages' examples run.
#[cfg(all(doctest, feature = "metrics"))]
#[doc = include_str!("../../docs/HOW-TO.md")]
pub struct HowTo;

/// A second for whatever takes long, so that a test is done soon.
pub fn quick() -> PoolOptions {
    PoolOptions::new()
        .connect_timeout(Duration::from_secs(1))
        .try_timeout(Duration::from_secs(1))
        .max_recheck_interval(Duration::from_secs(1))
}

/// Real servers, started side by side.
pub async fn servers(n: usize) -> Vec<MariaDb> {
    let started = tokio::task::spawn_blocking(move || MariaDb::start_many(n)).await;
    // The error says how to install what is missing.
    started
        .expect("starting servers does not panic")
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A pool over `servers`, named db0, db1, ..
pub fn pool(servers: &[MariaDb], options: PoolOptions) -> Pool {
    let named = servers
        .iter()
        .enumerate()
        .map(|(i, server)| (format!("db{i}"), server.url()));
    let peers: Vec<(String, String)> = named.collect();
    options
        .open(
            peers
                .iter()
                .map(|(name, url)| (name.as_str(), url.as_str())),
        )
        .expect("the testkit's urls are valid")
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not within `limit`; says `what` was waited for.
pub async fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The states of the pool's peers, in order.
pub fn states(pool: &Pool) -> Vec<State> {
    pool.statuses().iter().map(|status| status.state).collect()
}

/// What happened so far, as (peer, kind).
pub fn told(events: &mut Events) -> Vec<(String, EventKind)> {
    let mut told = Vec::new();
    while let Some(event) = events.try_next().expect("no event was lost") {
        told.push((event.peer.to_string(), event.kind));
    }
    told
}
