//! A near drop-in for `mysql_async::Pool` over several equal peers, so that a service outlives the
//! loss, pause, drain or restart of any of them.
//!
//! | room | holds |
//! | --- | --- |
//! | `pool` | [`Pool`]: checkouts and idempotent work over the peers |
//! | `conn` | [`PeerConn`]: a checked-out connection and the guard around it |
//! | `databases` | [`Databases`]: several pools by alias |
//! | `options` | [`PoolOptions`]: how long things may take |
//! | `error` | [`Error`], [`AttemptError`] |
//! | `classify` | what an error says of its peer, by phase, code and message |
//! | `endpoint` | one peer's connections |
//! | `connector`, `idempotent` | one attempt at a checkout; one try of idempotent work |
//! | `check`, `prober`, `purge` | whether a peer is ready for work; the probe; closing an ejected peer's idle connections |
//!
//! # What is promised
//!
//! - Every checkout ends by its deadline, whatever the peer does: refuse, accept and stay silent,
//!   stop half-way through the handshake, freeze.
//! - A connection whose last operation was dropped or broke the protocol is not used again.
//! - A connection, and so a transaction, stays on its peer.
//! - No statement is run twice, unless the caller marked the work idempotent with
//!   [`Pool::run_idempotent`].
//!
//! # What it does not do
//!
//! Statements are not routed: every peer must be able to serve every statement. A connection that
//! fails in the middle of your own work gives you its error; only idempotent work is done again.
//! A `COMMIT` whose answer is lost gives the driver's error, and the outcome is unknown.
//! `"..".first(&pool)` is not there yet: pass `&mut conn`.
//!
//! # Features
//!
//! TLS is passed through to the driver: `rustls-ring`, `rustls-aws-lc` or `native-tls`; none by
//! default.

#![forbid(unsafe_code)]

mod check;
mod classify;
mod conn;
mod connector;
mod databases;
mod endpoint;
mod error;
mod idempotent;
mod options;
mod pool;
mod prober;
mod purge;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub use conn::PeerConn;
pub use databases::Databases;
pub use error::{AttemptError, Error};
pub use options::{
    DEFAULT_ATTEMPT_TIMEOUT, DEFAULT_CHECKOUT_TIMEOUT, DEFAULT_TRY_TIMEOUT, DEFAULT_WORK_TIMEOUT,
    PoolOptions,
};
pub use pool::Pool;

pub use evenhand;
pub use evenhand::{Event, EventKind, Events, State, Status};
pub use evenhand_config;
pub use mysql_async;
