//! A near drop-in for [`mysql_async::Pool`] over several equal MySQL, MariaDB, Galera, ProxySQL or
//! MaxScale peers. A service keeps working when one of its peers is lost, paused, drained or
//! restarted.
//!
//! ```no_run
//! use std::time::Duration;
//! use evenhand_mysql::mysql_async::{self, TxOpts, prelude::*};
//! use evenhand_mysql::{HealthCheck, PoolOptions};
//!
//! # async fn run() -> mysql_async::Result<()> {
//! let pool = PoolOptions::new()
//!     .connect_timeout(Duration::from_millis(500))
//!     .health_check(HealthCheck::new().active(Duration::from_secs(1), 2))
//!     .open_url("mysql://app:secret@10.0.0.1,10.0.0.2:3307/shop")?;
//!
//! // A connection to a random peer that is up. It stays on that peer.
//! let mut conn = pool.get_conn().await?;
//! conn.query_drop("INSERT INTO visits VALUES (NOW())").await?;
//!
//! // Idempotent work moves to another peer if its connection fails.
//! let orders: Option<u64> = pool
//!     .run_idempotent(async |mut conn| conn.query_first("SELECT COUNT(*) FROM orders").await)
//!     .await?;
//!
//! // A transaction is run again only if it is certain that nothing of it was committed.
//! pool.transaction(TxOpts::default(), async |mut tx| {
//!     tx.query_drop("UPDATE stock SET left_over = left_over - 1 WHERE id = 7").await
//! })
//! .await?;
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! - Every checkout ends by its deadline, whatever the peer does: refuse, accept and stay silent,
//!   stop in the middle of the handshake, freeze.
//! - A connection whose last operation was cancelled or broke the protocol is not used again.
//! - A connection, and so a transaction, stays on its peer.
//! - No statement is run twice unless the caller marked the work idempotent with
//!   [`Pool::run_idempotent`]. A transaction of [`Pool::transaction`] is committed once or not at
//!   all.
//! - A peer that falls silent while callers wait is checked after 500 ms ([`HealthCheck::silence`]). A
//!   statement that waits for a lost peer ends after two consecutive checks got no answer
//!   ([`PoolOptions::end_on_lost_peer`]).
//! - Permits for connections are given in FIFO order. A full pool blames no peer; its error shows
//!   how many connections are in use ([`Error::Full`]).
//! - An idle connection that the server closed costs no caller anything.
//!
//! # Coming from `mysql_async`
//!
//! `mysql_async::Pool::new(url)` becomes [`Pool::from_url`]`(url)?`, with several hosts in the URL,
//! or [`Pool::new`] with one item for each peer. In signatures [`Transaction`] replaces
//! `mysql_async::Transaction`, and [`PeerConn`] replaces `mysql_async::Conn`. [`Pool::get_conn`],
//! [`Pool::start_transaction`], [`Pool::disconnect`], [`Queryable`] and `"..".first(&pool)` work as
//! before, and fail with a [`mysql_async::Error`], in which [`Error::find`] finds what this crate knows;
//! see [`Error`] for which is which. The differences:
//!
//! - `pool_max` is a limit for each peer, and counts connections in use, not idle ones.
//!   [`PoolOptions::max_connections`] limits all peers together.
//! - `pool_min` connections to each peer that is up are opened ahead of use, once the pool has been
//!   used. The driver's default is 10; `pool_min=0` turns this off.
//! - Idle connections above `pool_min` are closed after a minute, and no connection lives much longer
//!   than half an hour: see [`PoolOptions::idle_timeout`] and [`PoolOptions::max_lifetime`].
//!
//! # How peers are judged
//!
//! The crate has a table of MySQL's errors, which judges each error by [phase](Phase), code and
//! message. A [`Classifier`] adds judgements, which come before the table's. An ejected peer comes back when it passes its [`HealthCheck`]. Peers that are up are checked
//! too, unless traffic has just shown that they work.
//!
//! # What it does not do
//!
//! Statements are not routed: every peer must be able to serve every statement. When a connection
//! fails in the middle of your own work, you get its error; only idempotent work is repeated.
//! A `COMMIT` whose answer is lost is never sent again. It fails with [`Error::OutcomeUnknown`], also
//! if it was sent as text (`COMMIT` alone, not prepared, and not `COMMIT WORK`).
//!
//! The guard, that is the [`PeerConn`] or [`Transaction`], sees the statements that are called on it
//! (`conn.query(..)`, `conn.exec(..)`). With `"..".first(&mut conn)` the driver uses its own
//! connection, so the guard does not see the error. When such a connection is returned broken, cut
//! short, or cannot be reset, its peer is checked; an error that leaves the connection usable is not
//! judged. With `"..".first(&pool)` the driver returns the connection itself, without a time limit,
//! but no permit is held meanwhile, and `LOAD DATA LOCAL` does not work.
//!
//! A connection that is never returned outlives its lifetime and stays on its peer. Load spreads
//! again after a recovery as connections are returned.
//!
//! # Features
//!
//! TLS is passed through to the driver by one of `rustls-ring`, `rustls-aws-lc` or `native-tls`.
//! The driver's rustls and native-tls stacks exclude each other.
//!
//! | feature | gives |
//! | --- | --- |
//! | `dns` | [`PoolOptions`]`::open_names`, `mysql+srv://` and `mysql+dns://` URLs, and the key `hosts` of config files: peers from DNS |
//! | `discover` | `Pool::follow`: peers from a `tower::discover::Discover` |
//! | `metrics` | counters, gauges and a histogram through the `metrics` facade; `METRICS` lists them |
//! | `serde` | `Serialize` for [`Usage`], [`Report`] and what is in them, and for [`Status`], [`Event`] and their parts |
//! | `tracing` | spans of checkouts, tries and transactions; and the driver's own |
//!
//! `bigdecimal`, `binlog`, `chrono`, `derive`, `rust_decimal` and `time` are the driver's features of the
//! same names. None is on by default. The macros of `derive` name the crate `mysql_async`, which must then
//! be among your own dependencies. Logins with ed25519 and parsec always work.
//!
//! # What operators see
//!
//! A pool has a [name](PoolOptions::name), which is in its log lines, [events](Event), metrics and spans.
//!
//! **Logs**, through `tracing`, without any feature: an ejection is a `WARN` with the fields `pool`, `peer`,
//! `reason`, `probe_in` and `up`. That no peer is up any more is an `ERROR`. What is good news is `INFO`, the rest
//! `DEBUG`.
//!
//! **Metrics**, with the feature `metrics`: a pool records from its first checkout on, with the recorder of
//! the `metrics` crate that is installed by then. The repository's `docs/METRICS.md` lists names and labels,
//! and `docs/alerts.yml` has alert rules for Prometheus.
//!
//! **Spans**, with the feature `tracing`, at `DEBUG`: `checkout`, `try` (of idempotent work or a transaction)
//! and `transaction`. Their fields are those of OpenTelemetry's conventions for databases:
//! `db.system.name`, `db.client.connection.pool.name`, `server.address`, `server.port`, `db.namespace`,
//! `error.type`, `db.response.status_code`; and `evenhand.peer` and `evenhand.try`. No field holds a statement, a
//! user or a password. Nothing is computed for a span that no subscriber wants. The driver's own spans, which
//! come with the same feature, do hold statements and their parameters at `DEBUG`: leave them out by the
//! filter `mysql_async=off`.
//!
//! [`Queryable`]: mysql_async::prelude::Queryable

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod caught;
mod classify;
mod conn;
mod databases;
mod error;
mod membership;
mod names;
mod observe;
mod options;
mod peer;
mod pool;
mod report;
#[cfg(feature = "serde")]
mod serialize;
mod time;
mod url;
mod usage;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use classify::{Case, Classifier, Judgement, Phase};
pub use conn::PeerConn;
pub use conn::transaction::Transaction;
pub use databases::router::Router;
pub use databases::{Change, Databases};
pub use error::{AttemptError, CheckoutError, Error, FailedTry, WorkError};
pub use membership::{DEFAULT_MEMBERSHIP_INTERVAL, Membership};
pub use names::resolver::Resolver;
#[cfg(feature = "metrics")]
pub use observe::table::METRICS;
pub use options::health::{
    DEFAULT_HEALTH_CHECK_INTERVAL, DEFAULT_LOST_AFTER, DEFAULT_SILENCE, HealthCheck,
};
pub use options::{
    AllDownKind, DEFAULT_CHECKOUT_TIMEOUT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_IDLE_TIMEOUT,
    DEFAULT_MAX_LIFETIME, DEFAULT_NAME, DEFAULT_NAME_LOOKUP_INTERVAL, DEFAULT_TRY_TIMEOUT,
    DEFAULT_WORK_TIMEOUT, MinUp, PickKind, PoolOptions, ProbeKind,
};
pub use peer::into_peer::IntoPeer;
pub use pool::Pool;
pub use pool::peers::PeersHandle;
pub use report::{GaleraFacts, PeerFacts, PeerFault, PeerReport, Report};
pub use url::UrlError;
pub use usage::{PeerUsage, Usage};

pub use evenhand;
pub use evenhand::{
    DEFAULT_FIRST_RECHECK, DEFAULT_MAX_RECHECK_INTERVAL, Event, EventKind, Events, State, Status,
};
pub use evenhand_config;
#[cfg(feature = "dns")]
pub use evenhand_dns;
pub use mysql_async;
