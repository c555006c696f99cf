//! The table of a pool's metrics: what is told to the recorder, and what `docs/METRICS.md` is made
//! from.

use evenhand::{Metric, MetricKind};

pub(super) const CHECKOUTS: &str = "evenhand_mysql_checkouts_total";
pub(super) const CHECKOUT_SECONDS: &str = "evenhand_mysql_checkout_seconds";
pub(super) const RETRIES: &str = "evenhand_mysql_retries_total";
pub(super) const WAITS: &str = "evenhand_mysql_waits_total";
pub(super) const POOL_WAITS: &str = "evenhand_mysql_pool_waits_total";
pub(super) const LOGINS: &str = "evenhand_mysql_logins_total";
pub(super) const FAILURES: &str = "evenhand_mysql_failures_total";
pub(super) const RERUNS: &str = "evenhand_mysql_reruns_total";
pub(super) const UNKNOWN_OUTCOMES: &str = "evenhand_mysql_unknown_outcomes_total";
pub(super) const LOST_PEERS: &str = "evenhand_mysql_lost_peers_total";
pub(super) const CONNECTIONS: &str = "evenhand_mysql_connections";
pub(super) const CONNECTION_LIMIT: &str = "evenhand_mysql_connection_limit";
pub(super) const WAITING: &str = "evenhand_mysql_waiting";
pub(super) const POOL_LIMIT: &str = "evenhand_mysql_pool_limit";
pub(super) const POOL_CHECKING_OUT: &str = "evenhand_mysql_pool_checking_out";
pub(super) const POOL_WAITING: &str = "evenhand_mysql_pool_waiting";

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric::new(MetricKind::Counter, name, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric::new(MetricKind::Gauge, name, labels, help)
}

/// What a [`Pool`](crate::Pool) records with the feature `metrics`, besides
/// [`evenhand::METRICS`], which it records as well. `docs/METRICS.md` shows both.
pub const METRICS: &[Metric] = &[
    counter(
        CHECKOUTS,
        &["pool", "outcome"],
        "Checkouts that ended: `ok`; `full`, as all connections were in use; `refused` by a server; \
         `failed`, as no peer gave a connection; `disconnected`, as the pool was; `cancelled` by the \
         caller.",
    ),
    Metric::new(
        MetricKind::Seconds,
        CHECKOUT_SECONDS,
        &["pool", "outcome"],
        "How long these checkouts took.",
    ),
    counter(
        RETRIES,
        &["pool", "peer"],
        "Further attempts of checkouts, on this peer: after another attempt failed, or as a hedge.",
    ),
    counter(
        WAITS,
        &["pool", "peer"],
        "Attempts that had to wait for a free connection to this peer, or for a turn to log in.",
    ),
    counter(
        POOL_WAITS,
        &["pool"],
        "Checkouts that had to wait for a permit of `max_connections`.",
    ),
    counter(
        LOGINS,
        &["pool", "peer"],
        "Logins that the peer accepted, without those of probes and checks.",
    ),
    counter(
        FAILURES,
        &["pool", "peer", "phase", "row"],
        "Attempts (`phase` is `connect`) and statements (`query`, `commit`) that failed, whether or \
         not the peer was to blame. `row` is one of the [rows](#rows) of the table of errors, or \
         `custom` if the pool's own classifier judged the error.",
    ),
    counter(
        RERUNS,
        &["pool", "work", "cause"],
        "Tries of `idempotent` work, of a `transaction` or of a `start_transaction` that failed and are \
         run again, as the connection was lost (`connection_lost`), the server rolled back \
         (`rolled_back`), the try took too long (`try_timeout`) or its peer was ejected (`ejected`).",
    ),
    counter(
        UNKNOWN_OUTCOMES,
        &["pool", "peer"],
        "`COMMIT`s whose answer was lost, each once.",
    ),
    counter(
        LOST_PEERS,
        &["pool", "peer"],
        "Times that checks found the peer lost, which ends what waits for it.",
    ),
    gauge(
        CONNECTIONS,
        &["pool", "peer", "state"],
        "Connections that are `in_use`, about to be opened or being cleaned up, and that are `idle`.",
    ),
    gauge(
        CONNECTION_LIMIT,
        &["pool", "peer"],
        "How many connections to the peer may be in use: `pool_max`, or fewer if the server has no \
         room for more.",
    ),
    gauge(
        WAITING,
        &["pool", "peer"],
        "Checkouts that wait for a connection to the peer.",
    ),
    gauge(
        POOL_LIMIT,
        &["pool"],
        "`max_connections`; missing without that limit, as are the next two.",
    ),
    gauge(
        POOL_CHECKING_OUT,
        &["pool"],
        "Checkouts that have a permit of `max_connections` and no connection yet.",
    ),
    gauge(
        POOL_WAITING,
        &["pool"],
        "Checkouts that wait for a permit of `max_connections`.",
    ),
];
