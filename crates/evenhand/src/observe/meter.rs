//! Counts and times of requests. Without the feature `metrics` all of it is empty.

#[cfg(feature = "metrics")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{counter, histogram};
#[cfg(feature = "metrics")]
use tokio::time::Instant;

#[cfg(feature = "metrics")]
use super::table::{
    ATTEMPT_SECONDS, ATTEMPTS, FAILOVERS, HEDGES, Metric, REQUEST_METRICS, RETRIES, WAIT_SECONDS,
    WAITS,
};
use crate::classify::Verdict;

/// Records what requests do, if the balancer was asked to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// The label of the set.
    #[cfg(feature = "metrics")]
    pool: Option<Arc<str>>,
}

/// When an attempt began, if that is measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Started {
    #[cfg(feature = "metrics")]
    at: Option<Instant>,
}

#[cfg(not(feature = "metrics"))]
#[allow(clippy::unused_self, reason = "as with the feature")]
impl Meter {
    #[inline(always)]
    pub(crate) fn begin(&self) -> Started {
        Started {}
    }

    #[inline(always)]
    pub(crate) fn attempt_ended(&self, _: &str, _: &Verdict, _: Started) {}

    pub(crate) fn went_on(&self, _: Option<(&str, Option<&'static str>)>, _: &str) {}

    pub(crate) fn hedged(&self, _: &str) {}

    pub(crate) fn began_to_wait(&self) {}

    pub(crate) fn waited(&self, _: Duration) {}
}

#[cfg(feature = "metrics")]
impl Meter {
    /// A meter whose records have this label.
    pub(crate) fn new(pool: Arc<str>) -> Self {
        REQUEST_METRICS.iter().for_each(Metric::describe);
        Self { pool: Some(pool) }
    }

    #[inline]
    pub(crate) fn begin(&self) -> Started {
        Started {
            at: self.pool.as_ref().map(|_| Instant::now()),
        }
    }

    /// An attempt on this peer has ended.
    #[inline]
    pub(crate) fn attempt_ended(&self, peer: &str, verdict: &Verdict, started: Started) {
        if let Some(pool) = &self.pool {
            record_attempt(pool, peer, verdict, started);
        }
    }

    /// A request goes on to this peer, from one that it was on before, which had this reason.
    pub(crate) fn went_on(&self, from: Option<(&str, Option<&'static str>)>, to: &str) {
        let Some(pool) = &self.pool else { return };
        if let Some((from, reason)) = from.filter(|(from, _)| *from != to) {
            let labels = [
                ("pool", pool.to_string()),
                ("peer", from.to_owned()),
                ("reason", reason.unwrap_or("unspecified").to_owned()),
            ];
            counter!(FAILOVERS, &labels).increment(1);
        }
        counter!(
            RETRIES,
            &[("pool", pool.to_string()), ("peer", to.to_owned())]
        )
        .increment(1);
    }

    /// A request that waits for this peer was sent to another one as well.
    pub(crate) fn hedged(&self, peer: &str) {
        let Some(pool) = &self.pool else { return };
        counter!(
            HEDGES,
            &[("pool", pool.to_string()), ("peer", peer.to_owned())]
        )
        .increment(1);
    }

    /// A request waits for a peer.
    pub(crate) fn began_to_wait(&self) {
        let Some(pool) = &self.pool else { return };
        counter!(WAITS, "pool" => pool.clone()).increment(1);
    }

    /// It waited for so long.
    pub(crate) fn waited(&self, time: Duration) {
        let Some(pool) = &self.pool else { return };
        histogram!(WAIT_SECONDS, "pool" => pool.clone()).record(time.as_secs_f64());
    }
}

#[cfg(feature = "metrics")]
fn record_attempt(pool: &Arc<str>, peer: &str, verdict: &Verdict, started: Started) {
    use crate::classify::PeerVerdict::{Degraded, Down, Healthy, Neutral, Suspect};
    let outcome = match verdict.peer {
        Healthy => "healthy",
        Neutral => "neutral",
        Degraded => "degraded",
        Down => "down",
        Suspect => "suspect",
    };
    let without = match verdict.peer {
        Healthy => "none",
        _ => "unspecified",
    };
    let labels = [
        ("pool", pool.to_string()),
        ("peer", peer.to_owned()),
        ("outcome", outcome.to_owned()),
        ("reason", verdict.reason.unwrap_or(without).to_owned()),
    ];
    counter!(ATTEMPTS, &labels).increment(1);
    if let Some(at) = started.at {
        histogram!(ATTEMPT_SECONDS, &labels[..3]).record(at.elapsed().as_secs_f64());
    }
}
