//! A near drop-in for `mysql_async::Pool` over several equal peers, so that a service outlives the
//! loss, pause, drain or restart of any of them.
//!
//! | room | holds |
//! | --- | --- |
//! | `pool` | [`Pool`]: checkouts and idempotent work over the peers |
//! | `open` | pools from a URL with several hosts, or from options alone |
//! | `rerun` | [`Pool::transaction`]: a transaction that is run again where nothing of it has happened |
//! | `queryable`, `judge` | the driver's [`Queryable`] on the guard; what each outcome says |
//! | `lost`, `jitter` | whether a peer is silent, so that what waits for it ends; times that stray |
//! | `conn`, `returning` | [`PeerConn`]: a checked-out connection and the guard around it; its way back |
//! | `transaction` | [`Transaction`]: on a connection of its own or a borrowed one |
//! | `one_off` | statements on the pool itself: `"SELECT ..".first(&pool)` |
//! | `peers`, `usage` | [`PeersHandle`]: what operators do; [`Usage`]: what is in use, of how much |
//! | `databases`, `router` | [`Databases`]: several pools by alias; which one a request goes to |
//! | `report`, `inspect` | [`Report`]: what every peer is, and whether it is online; how one is asked |
//! | `options` | [`PoolOptions`]: how long things may take, and how many there may be; every default in one table |
//! | `error`, `url` | [`Error`], [`AttemptError`]; [`UrlError`] and what it judges |
//! | `classify` | what an error says of its peer, by phase, code and message: [`Classifier`] |
//! | `admission`, `limit` | who may have one of so many, first come first served; time limits |
//! | `endpoint`, `driver`, `tame` | one peer's connections; the driver's pool of them, and its options as this crate needs them |
//! | `connector`, `idempotent` | one attempt at a checkout; one try of idempotent work |
//! | `balancer`, `spread` | the balancer, as the options ask for it; how checkouts are spread |
//! | `configured` | pools of a config file's databases |
//! | `watch`, `probe` | how peers are watched; [`Probe`]: what one must do to be in |
//! | `check`, `prober` | whether a peer is ready for work; the probe |
//! | `background`, `keep`, `purge` | beside the checkouts: `pool_min` is kept open; an ejected peer's idle connections are closed |
//!
//! # What is promised
//!
//! - Every checkout ends by its deadline, whatever the peer does: refuse, accept and stay silent,
//!   stop half-way through the handshake, freeze.
//! - A connection whose last operation was dropped or broke the protocol is not used again.
//! - A connection, and so a transaction, stays on its peer.
//! - No statement is run twice, unless the caller marked the work idempotent with
//!   [`Pool::run_idempotent`]; a transaction of [`Pool::transaction`] happens once or not at all.
//! - A statement that waits on a lost peer ends once two checks in a row were met by silence
//!   ([`PoolOptions::end_on_lost_peer`]).
//! - Places are given first come, first served. A full pool is its callers' own doing: it blames no
//!   peer, and its error says what is in use, of how much ([`Error::Full`]).
//! - An idle connection that the server closed costs nobody anything.
//!
//! # Coming from `mysql_async`
//!
//! `mysql_async::Pool::new(url)` becomes [`Pool::from_url`]`(url)?`, with several hosts in the URL,
//! or [`Pool::new`] with a name for each peer; `mysql_async::Transaction` in a signature becomes
//! [`Transaction`], and `mysql_async::Conn` [`PeerConn`]. [`Pool::get_conn`],
//! [`Pool::start_transaction`], [`Pool::disconnect`], [`Queryable`] and `"..".first(&pool)` are as
//! they were. What differs:
//!
//! - `pool_max` holds for each peer, and connections that are out count, not idle ones;
//!   [`PoolOptions::max_connections`] limits all together.
//! - `pool_min` connections to each peer that is up are opened ahead, once the pool is used. The
//!   driver's default is 10; `pool_min=0` turns it off.
//! - Idle connections beyond that are kept for a minute, and none lives much longer than half an
//!   hour: see [`PoolOptions::idle_timeout`] and [`PoolOptions::max_lifetime`].
//!
//! # How peers are judged
//!
//! Errors are judged by a table, by phase, code and message; a [`Classifier`] adds rows of your own
//! or overrides it. A peer that was ejected comes back when it passes its [`Probe`]. Peers that are
//! up are checked by it, too, unless traffic has just proved them. [`PoolOptions`] sets all of this,
//! and tells every default.
//!
//! # What it does not do
//!
//! Statements are not routed: every peer must be able to serve every statement. A connection that
//! fails in the middle of your own work gives you its error; only idempotent work is done again.
//! [`Pool::transaction`] does a transaction again where it is certain that nothing of it has
//! happened. A `COMMIT` whose answer is lost is never sent again: it gives
//! [`Error::OutcomeUnknown`], also where it was sent as text (`COMMIT` alone, not prepared, and not
//! `COMMIT WORK`).
//!
//! A statement goes through the guard where it is called on a [`PeerConn`] or a [`Transaction`]
//! (`conn.query(..)`, `conn.exec(..)`). Through the driver's other way, `"..".first(..)`, the driver
//! takes its own connection and the guard does not see the error. It notices on the connection's
//! return that it was lost, cut short or cannot be reset, and has the peer checked then; an error
//! that leaves the connection whole is not judged. On `&pool` that return is the driver's own and
//! has no time limit, though no place is held meanwhile, and `LOAD DATA LOCAL` does not work.
//!
//! A connection that is never returned outlives its time, and stays where it is when a peer comes
//! back: load spreads again as connections are returned.
//!
//! [`Queryable`]: mysql_async::prelude::Queryable
//!
//! # Features
//!
//! TLS is passed through to the driver: `rustls-ring`, `rustls-aws-lc` or `native-tls`; none by
//! default.

#![forbid(unsafe_code)]

mod admission;
mod background;
mod balancer;
mod check;
mod classify;
mod configured;
mod conn;
mod connector;
mod databases;
#[cfg(test)]
mod defaults;
mod driver;
mod endpoint;
mod error;
mod idempotent;
mod inspect;
mod jitter;
mod judge;
mod keep;
mod limit;
mod lost;
mod one_off;
mod open;
mod options;
mod peers;
mod pool;
mod probe;
mod prober;
mod purge;
mod queryable;
mod report;
mod rerun;
mod returning;
mod router;
mod spread;
mod tame;
mod transaction;
mod url;
mod usage;
mod watch;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub use classify::{Case, Classifier, Judgement, Phase};
pub use conn::PeerConn;
pub use databases::{Change, Databases};
pub use error::{AttemptError, Error};
pub use options::{
    DEFAULT_ATTEMPT_TIMEOUT, DEFAULT_CHECKOUT_TIMEOUT, DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_LIFETIME,
    DEFAULT_TRANSACTION_ATTEMPTS, DEFAULT_TRY_TIMEOUT, DEFAULT_WORK_TIMEOUT, PoolOptions,
};
pub use peers::PeersHandle;
pub use pool::Pool;
pub use probe::Probe;
pub use report::{GaleraFacts, PeerFacts, PeerFault, PeerReport, Report};
pub use router::Router;
pub use spread::DEFAULT_FIRST_RECHECK;
pub use transaction::Transaction;
pub use url::UrlError;
pub use usage::{PeerUsage, Usage};
pub use watch::DEFAULT_CHECK_UP_EVERY;

pub use evenhand;
pub use evenhand::{Event, EventKind, Events, State, Status};
pub use evenhand_config;
pub use evenhand_config::{AllDownKind, MinUp, PickKind};
pub use mysql_async;
