//! The driver's own tests, over this crate's pool: what they assert, in this crate's words. Those that look into
//! the driver's private parts ask [`Pool::usage`] or the server instead.
//!
//! Where the pool differs from the driver's, and why:
//!
//! | the driver | this crate | why |
//! | --- | --- | --- |
//! | `Pool::new(opts)` panics for a bad URL | `Pool::from_url(url)?`, `Pool::new([opts])?` | several peers, and no panic for what a file says |
//! | `Conn`, `Transaction` | `PeerConn`, `Transaction` | the guard judges each outcome |
//! | a refused login's message | the peer's name follows it | several peers |
//! | an `after_connect` hook's error is returned as it is | carried in `Error::Io` | it belongs to one peer's login |
//! | `pool_max` limits connections that are open | those in use; as many may be open | idle ones are of no use to others |
//! | connections above `pool_min` close at once when returned | after `idle_timeout`, 1 min | a login costs more than a minute's rest |
//! | `pool_min` is what stays | and what is opened ahead of use | a failover needs them |
//! | `Pool::metrics` | `Pool::usage` | all peers, and the limits |
//! | a poll with a newer waker wakes that one only | not asked here | tokio's semaphore promises it |
//! | `LOAD DATA LOCAL` works with `"..".ignore(&pool)` | it fails | the handler's place holds the permit |
//!
//! Not here, as they ask nothing of a pool: tests of URLs and options, of packets, of the order of a statement
//! cache, and benchmarks.

mod conn;
mod pool;
mod results;
mod statements;

use evenhand_mysql::Pool;
use evenhand_mysql::mysql_async::{Opts, OptsBuilder};
use evenhand_testkit::MariaDb;

use crate::common::setup::{patient, servers};

/// A server, and a pool over it with these parameters of its URL.
async fn stage(parameters: &str) -> (MariaDb, Pool) {
    stage_on(&[], parameters).await
}

/// On a server with these arguments.
async fn stage_on(arguments: &[&str], parameters: &str) -> (MariaDb, Pool) {
    let builder = arguments
        .iter()
        .fold(MariaDb::builder(), |builder, argument| {
            builder.arg(*argument)
        });
    let server = servers(1, builder).await.remove(0);
    let pool = patient()
        .open_url(format!("{}?{parameters}", server.url()))
        .unwrap();
    (server, pool)
}

fn opts_of(server: &MariaDb) -> OptsBuilder {
    OptsBuilder::from_opts(Opts::from_url(&server.url()).unwrap())
}

fn pool_with(opts: OptsBuilder) -> Pool {
    patient().open([opts]).unwrap()
}
