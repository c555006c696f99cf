//! The setting of metrics: the feature of that name.

use std::sync::Arc;

use super::BalanceLayer;
use crate::observe::meter::Meter;

impl<Target, R> BalanceLayer<Target, R> {
    /// Records what requests do with the recorder of the `metrics` crate, which must be installed
    /// before. `pool` is the label that tells this balancer from others: use the one of
    /// [`Peers::record_metrics`](crate::Peers::record_metrics), which records what happens to peers.
    /// Default: nothing is recorded. [`REQUEST_METRICS`](crate::REQUEST_METRICS) has the same as data.
    ///
    /// | name | labels | |
    /// | --- | --- | --- |
    /// | `evenhand_attempts_total` | `pool`, `peer`, `outcome`, `reason` | counter: an attempt ended; what it said of the peer (`healthy`, `neutral`, `degraded`, `down`, `suspect`), and the verdict's reason, `none` or `unspecified` |
    /// | `evenhand_attempt_seconds` | `pool`, `peer`, `outcome` | histogram: how long it took |
    /// | `evenhand_failovers_total` | `pool`, `peer`, `reason` | counter: a request left this peer, for this reason, and another one was asked |
    /// | `evenhand_retries_total` | `pool`, `peer` | counter: an attempt on this peer was not its request's first |
    /// | `evenhand_hedges_total` | `pool`, `peer` | counter: a request that waited for this peer was sent to another one as well |
    /// | `evenhand_waits_total` | `pool` | counter: a request found no peer and began to wait |
    /// | `evenhand_wait_seconds` | `pool` | histogram: how long a request waited at a time |
    ///
    /// An attempt that is dropped with its request, or that loses against a hedge, is not counted.
    /// Recording costs each attempt two reads of the clock and what the recorder costs.
    pub fn record_metrics(mut self, pool: impl Into<Arc<str>>) -> Self {
        self.settings.meter = Meter::new(pool.into());
        self
    }
}
