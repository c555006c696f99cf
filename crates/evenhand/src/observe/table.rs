//! The table of metrics: what is told to the recorder, and what pages and tests are made from.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// A metric that is recorded with the feature `metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: MetricKind,
    /// The names of its labels, each of which every value has.
    pub labels: &'static [&'static str],
    /// What it shows.
    pub help: &'static str,
}

/// The kind of a [`Metric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number at one moment.
    Gauge,
    /// A distribution of times in seconds.
    Seconds,
}

impl Metric {
    /// A metric of this kind.
    pub const fn new(
        kind: MetricKind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            labels,
            help,
        }
    }

    /// Tells the recorder what the metric shows.
    pub fn describe(&self) {
        match self.kind {
            MetricKind::Counter => describe_counter!(self.name, Unit::Count, self.help),
            MetricKind::Gauge => describe_gauge!(self.name, Unit::Count, self.help),
            MetricKind::Seconds => describe_histogram!(self.name, Unit::Seconds, self.help),
        }
    }
}

pub(super) const EJECTIONS: &str = "evenhand_ejections_total";
pub(super) const PROBES: &str = "evenhand_probes_total";
pub(super) const RECOVERIES: &str = "evenhand_recoveries_total";
pub(super) const LOST: &str = "evenhand_events_lost_total";
pub(super) const PEERS: &str = "evenhand_peers";
pub(super) const PEER_UP: &str = "evenhand_peer_up";

pub(super) const ATTEMPTS: &str = "evenhand_attempts_total";
pub(super) const ATTEMPT_SECONDS: &str = "evenhand_attempt_seconds";
pub(super) const FAILOVERS: &str = "evenhand_failovers_total";
pub(super) const RETRIES: &str = "evenhand_retries_total";
pub(super) const HEDGES: &str = "evenhand_hedges_total";
pub(super) const WAITS: &str = "evenhand_waits_total";
pub(super) const WAIT_SECONDS: &str = "evenhand_wait_seconds";

/// What [`Peers::record_metrics`](crate::Peers::record_metrics) records.
pub const METRICS: &[Metric] = &[
    Metric::new(
        MetricKind::Counter,
        EJECTIONS,
        &["pool", "peer", "reason"],
        "Ejections of peers. `reason` is that of the verdict, or `unspecified`.",
    ),
    Metric::new(
        MetricKind::Counter,
        PROBES,
        &["pool", "peer", "outcome"],
        "Probes of ejected peers that ended: `recovered`, `failed` or `abandoned`.",
    ),
    Metric::new(
        MetricKind::Counter,
        RECOVERIES,
        &["pool", "peer"],
        "Recoveries of peers.",
    ),
    Metric::new(
        MetricKind::Counter,
        LOST,
        &["pool"],
        "Events that came faster than they could be counted.",
    ),
    Metric::new(
        MetricKind::Gauge,
        PEERS,
        &["pool", "state"],
        "Peers that are `up`, `ejected`, `probing` or `draining`.",
    ),
    Metric::new(
        MetricKind::Gauge,
        PEER_UP,
        &["pool", "peer"],
        "1 while the peer is up, else 0.",
    ),
];

/// What [`BalanceLayer::record_metrics`](crate::BalanceLayer::record_metrics) records.
pub const REQUEST_METRICS: &[Metric] = &[
    Metric::new(
        MetricKind::Counter,
        ATTEMPTS,
        &["pool", "peer", "outcome", "reason"],
        "Attempts that ended. `outcome` is what the verdict says of the peer, `reason` is its own.",
    ),
    Metric::new(
        MetricKind::Seconds,
        ATTEMPT_SECONDS,
        &["pool", "peer", "outcome"],
        "How long attempts took.",
    ),
    Metric::new(
        MetricKind::Counter,
        FAILOVERS,
        &["pool", "peer", "reason"],
        "Requests that left the peer, for this reason, and went on to another one.",
    ),
    Metric::new(
        MetricKind::Counter,
        RETRIES,
        &["pool", "peer"],
        "Attempts on the peer that were not their request's first.",
    ),
    Metric::new(
        MetricKind::Counter,
        HEDGES,
        &["pool", "peer"],
        "Requests that waited for the peer and were sent to another one as well.",
    ),
    Metric::new(
        MetricKind::Counter,
        WAITS,
        &["pool"],
        "Requests that found no peer and began to wait.",
    ),
    Metric::new(
        MetricKind::Seconds,
        WAIT_SECONDS,
        &["pool"],
        "How long requests waited for a peer at a time.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn documented(source: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
        let rows = source.lines();
        let rows = rows.filter_map(|line| line.trim().strip_prefix("/// | `"));
        rows.map(|line| {
            let (name, rest) = line.split_once("` | ").unwrap();
            let (labels, _) = rest.split_once(" | ").unwrap();
            let labels = labels.split(", ").map(|label| label.trim_matches('`'));
            (name, labels.collect())
        })
        .collect()
    }

    #[test]
    fn documentation_lists_every_metric_with_its_labels() {
        let pages = [
            (METRICS, include_str!("metrics.rs")),
            (REQUEST_METRICS, include_str!("../balance/layer/metrics.rs")),
        ];
        for (table, source) in pages {
            let expected: Vec<_> = table.iter().map(|m| (m.name, m.labels.to_vec())).collect();
            assert_eq!(documented(source), expected);
        }
    }
}
