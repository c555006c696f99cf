//! What the MySQL pool costs beside the driver alone, and what clients see when a server is lost.
//!
//! All of it runs against real MariaDB servers on loopback, in processes of their own. A server in
//! this process would have its instructions and allocations counted as the pool's.
//!
//! | module | holds |
//! | --- | --- |
//! | [`server`] | a server with a table to read from |
//! | [`checkout`] | a connection is taken and given back |
//! | [`query`] | one point query, on the bare driver and with a checkout for each |
//! | [`held`] | the same on a connection that is held, query by query |
//! | [`hop`] | the same query through HAProxy, from one task and from many |
//! | [`outage`] | one of two servers is lost under load: what its clients see |
//! | [`figures`] | what was seen, added up |
//! | [`pool_cluster`] | node-mysql2's `PoolCluster` in the same outage, where it can be installed |

pub mod checkout;
pub mod figures;
pub mod held;
pub mod hop;
pub mod outage;
pub mod pool_cluster;
pub mod query;
pub mod server;

use tokio::runtime::{Builder, Runtime};

/// A runtime with everything that a driver needs, on the caller's own thread.
fn one_thread() -> Runtime {
    let built = Builder::new_current_thread().enable_all().build();
    built.expect("a runtime can be made")
}

/// The same with two threads.
fn two_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let built = builder.worker_threads(2).enable_all().build();
    built.expect("a runtime can be made")
}
