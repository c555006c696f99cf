//! Counts and times of requests. Without the feature `metrics` all of it is empty.

#[cfg(feature = "metrics")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
#[cfg(feature = "metrics")]
use tokio::time::Instant;

use crate::classify::Verdict;

#[cfg(feature = "metrics")]
const ATTEMPTS: &str = "evenhand_attempts_total";
#[cfg(feature = "metrics")]
const ATTEMPT_SECONDS: &str = "evenhand_attempt_seconds";
#[cfg(feature = "metrics")]
const FAILOVERS: &str = "evenhand_failovers_total";
#[cfg(feature = "metrics")]
const RETRIES: &str = "evenhand_retries_total";
#[cfg(feature = "metrics")]
const HEDGES: &str = "evenhand_hedges_total";
#[cfg(feature = "metrics")]
const WAITS: &str = "evenhand_waits_total";
#[cfg(feature = "metrics")]
const WAIT_SECONDS: &str = "evenhand_wait_seconds";

/// Records what requests do, if the balancer was asked to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// The label of the set.
    #[cfg(feature = "metrics")]
    set: Option<Arc<str>>,
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
    pub(crate) fn new(set: Arc<str>) -> Self {
        describe();
        Self { set: Some(set) }
    }

    #[inline]
    pub(crate) fn begin(&self) -> Started {
        Started {
            at: self.set.as_ref().map(|_| Instant::now()),
        }
    }

    /// An attempt on this peer has ended.
    #[inline]
    pub(crate) fn attempt_ended(&self, peer: &str, verdict: &Verdict, started: Started) {
        if let Some(set) = &self.set {
            record_attempt(set, peer, verdict, started);
        }
    }

    /// A request goes on to this peer, from one that it was on before, which had this reason.
    pub(crate) fn went_on(&self, from: Option<(&str, Option<&'static str>)>, to: &str) {
        let Some(set) = &self.set else { return };
        if let Some((from, reason)) = from.filter(|(from, _)| *from != to) {
            let labels = [
                ("set", set.to_string()),
                ("peer", from.to_owned()),
                ("reason", reason.unwrap_or("unspecified").to_owned()),
            ];
            counter!(FAILOVERS, &labels).increment(1);
        }
        counter!(
            RETRIES,
            &[("set", set.to_string()), ("peer", to.to_owned())]
        )
        .increment(1);
    }

    /// A request that waits for this peer was sent to another one as well.
    pub(crate) fn hedged(&self, peer: &str) {
        let Some(set) = &self.set else { return };
        counter!(
            HEDGES,
            &[("set", set.to_string()), ("peer", peer.to_owned())]
        )
        .increment(1);
    }

    /// A request waits for a peer.
    pub(crate) fn began_to_wait(&self) {
        let Some(set) = &self.set else { return };
        counter!(WAITS, "set" => set.clone()).increment(1);
    }

    /// It waited for so long.
    pub(crate) fn waited(&self, time: Duration) {
        let Some(set) = &self.set else { return };
        histogram!(WAIT_SECONDS, "set" => set.clone()).record(time.as_secs_f64());
    }
}

#[cfg(feature = "metrics")]
fn record_attempt(set: &Arc<str>, peer: &str, verdict: &Verdict, started: Started) {
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
        ("set", set.to_string()),
        ("peer", peer.to_owned()),
        ("outcome", outcome.to_owned()),
        ("reason", verdict.reason.unwrap_or(without).to_owned()),
    ];
    counter!(ATTEMPTS, &labels).increment(1);
    if let Some(at) = started.at {
        histogram!(ATTEMPT_SECONDS, &labels[..3]).record(at.elapsed().as_secs_f64());
    }
}

#[cfg(feature = "metrics")]
fn describe() {
    describe_counter!(ATTEMPTS, Unit::Count, "Attempts that ended");
    describe_histogram!(ATTEMPT_SECONDS, Unit::Seconds, "How long attempts took");
    describe_counter!(
        FAILOVERS,
        Unit::Count,
        "Requests that left a peer for another one"
    );
    describe_counter!(
        RETRIES,
        Unit::Count,
        "Attempts that were not a request's first"
    );
    describe_counter!(
        HEDGES,
        Unit::Count,
        "Requests that were sent to a second peer as well"
    );
    describe_counter!(WAITS, Unit::Count, "Requests that began to wait for a peer");
    describe_histogram!(
        WAIT_SECONDS,
        Unit::Seconds,
        "How long requests waited for a peer"
    );
}
