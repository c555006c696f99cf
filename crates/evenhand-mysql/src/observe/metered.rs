//! Recording through the `metrics` facade.
//!
//! A checkout records through handles that its pool keeps. All else happens rarely, and looks its
//! handle up.

use std::array;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use evenhand::{Metric, Peers};
use metrics::{Counter, Histogram, counter, histogram};
use tokio::time::Instant;

use super::gauges::keep_gauges;
use super::outcome::{Outcome, cause_name};
use super::table::{
    CHECKOUT_SECONDS, CHECKOUTS, FAILURES, LOGINS, LOST_PEERS, METRICS, POOL_WAITS, RERUNS,
    RETRIES, UNKNOWN_OUTCOMES, WAITS,
};
use crate::classify::Phase;
use crate::error::{Error, FailedTry};
use crate::usage::Usage;

/// The metrics of one pool.
#[derive(Clone, Debug)]
pub(crate) struct PoolMetrics {
    pool: Arc<str>,
    /// Made at the first checkout: a recorder may be installed until then.
    checkouts: Arc<OnceLock<Checkouts>>,
}

/// By outcome, in the order of [`Outcome::ALL`].
#[derive(Debug)]
struct Checkouts([(Counter, Histogram); Outcome::ALL.len()]);

impl PoolMetrics {
    pub(crate) fn new(pool: Arc<str>) -> Self {
        let checkouts = Arc::default();
        Self { pool, checkouts }
    }

    /// Describes the metrics, and records the gauges and what happens to the peers until it is dropped.
    /// Must be called in a runtime.
    pub(crate) fn record<Target, Read>(
        &self,
        peers: &Peers<Target>,
        usage: Read,
    ) -> impl Future<Output = ()> + Send + use<Target, Read>
    where
        Target: Send + Sync + 'static,
        Read: Fn() -> Usage + Send + 'static,
    {
        METRICS.iter().for_each(Metric::describe);
        let balancer = peers.record_metrics(self.pool.clone());
        let gauges = keep_gauges(self.pool.clone(), usage);
        async move {
            let _until_dropped = balancer;
            gauges.await;
        }
    }

    /// A checkout begins.
    pub(crate) fn checkout(&self, began: Instant) -> CheckoutMetrics<'_> {
        let checkouts = self.checkouts.get_or_init(|| Checkouts::new(&self.pool));
        CheckoutMetrics {
            checkouts,
            began,
            outcome: Outcome::Cancelled,
        }
    }

    /// A checkout waits for a permit of the pool.
    pub(crate) fn waits(&self) {
        counter!(POOL_WAITS, "pool" => self.pool.clone()).increment(1);
    }

    /// The last of these tries of some work failed, and there will be another.
    pub(crate) fn reruns(&self, work: &'static str, tries: &[FailedTry]) {
        let cause = tries
            .last()
            .map_or("other", |tried| cause_name(&tried.cause));
        counter!(RERUNS, "pool" => self.pool.clone(), "work" => work, "cause" => cause)
            .increment(1);
    }
}

impl Checkouts {
    fn new(pool: &Arc<str>) -> Self {
        Self(array::from_fn(|nth| {
            let outcome = Outcome::ALL[nth].name();
            (
                counter!(CHECKOUTS, "pool" => pool.clone(), "outcome" => outcome),
                histogram!(CHECKOUT_SECONDS, "pool" => pool.clone(), "outcome" => outcome),
            )
        }))
    }
}

/// A checkout in progress. It is cancelled if this is dropped before it ended.
#[must_use]
pub(crate) struct CheckoutMetrics<'a> {
    checkouts: &'a Checkouts,
    began: Instant,
    outcome: Outcome,
}

impl CheckoutMetrics<'_> {
    pub(crate) fn succeeded(mut self) {
        self.outcome = Outcome::Ok;
    }

    pub(crate) fn failed(mut self, error: Error) -> Error {
        self.outcome = Outcome::of(&error);
        error
    }
}

impl Drop for CheckoutMetrics<'_> {
    fn drop(&mut self) {
        let (count, seconds) = &self.checkouts.0[self.outcome as usize];
        count.increment(1);
        seconds.record(self.began.elapsed());
    }
}

/// The metrics of one peer of a pool.
#[derive(Clone, Debug)]
pub(crate) struct PeerMetrics {
    pool: Arc<str>,
    peer: Arc<str>,
}

impl PeerMetrics {
    pub(crate) fn new(pool: Arc<str>, peer: Arc<str>) -> Self {
        Self { pool, peer }
    }

    fn count(&self, name: &'static str) {
        counter!(name, "pool" => self.pool.clone(), "peer" => self.peer.clone()).increment(1);
    }

    /// The peer accepted a login for the pool.
    pub(crate) fn logged_in(&self) {
        self.count(LOGINS);
    }

    /// A checkout comes to this peer after another attempt.
    pub(crate) fn retried(&self) {
        self.count(RETRIES);
    }

    /// An attempt has to wait for a permit.
    pub(crate) fn waits(&self) {
        self.count(WAITS);
    }

    /// An error in this phase was judged by this row.
    pub(crate) fn failed(&self, phase: Phase, row: impl FnOnce() -> &'static str) {
        let (pool, peer) = (self.pool.clone(), self.peer.clone());
        counter!(FAILURES, "pool" => pool, "peer" => peer, "phase" => phase.name(), "row" => row())
            .increment(1);
    }

    /// The answer to a `COMMIT` was lost.
    pub(crate) fn outcome_unknown(&self) {
        self.count(UNKNOWN_OUTCOMES);
    }

    /// Checks found the peer lost.
    pub(crate) fn lost(&self) {
        self.count(LOST_PEERS);
    }
}
