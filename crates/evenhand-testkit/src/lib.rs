//! Peers for Evenhand's own tests. Not published.
//!
//! | module | holds |
//! | --- | --- |
//! | [`fake`] | [`FakeMySql`]: an in-process MySQL server that fails on command |
//! | [`mariadb`] | [`MariaDb`]: real processes of MariaDB's server, or of MySQL's |
//! | [`galera`] | [`Galera`]: real Galera clusters |
//! | [`group`] | [`Group`]: real groups of MySQL servers, by Group Replication |
//! | [`haproxy`] | [`HaProxy`]: a real HAProxy |
//! | [`fault_proxy`] | [`FaultProxy`]: a network that fails on command, before any peer |
//! | [`dns`] | [`DnsServer`]: a real DNS server, whose zone changes while it runs |
//! | [`blackhole`] | [`Blackhole`]: an address on which connects hang |
//! | `process` | a server's process, which must not outlive the test |
//! | `lock` | locking that outlives a panic |
//! | `sql` | one statement on a server |
//! | `port` | a loopback port that stays reserved while nothing listens on it |
//!
//! The double is for what a real server cannot be made to do, or not quickly: a reply cut in half,
//! an error in place of the greeting, silence after the login. The real servers are for what a
//! double only pretends.

#![forbid(unsafe_code)]

pub mod blackhole;
pub mod dns;
pub mod fake;
pub mod fault_proxy;
pub mod galera;
pub mod group;
pub mod haproxy;
mod lock;
pub mod mariadb;
mod port;
mod process;
mod sql;

pub use blackhole::Blackhole;
pub use dns::{DnsFault, DnsServer};
pub use fake::{ErrPacket, FakeMySql, FakeMySqlBuilder, Fault, Value};
pub use fault_proxy::{Direction, FaultProxy};
pub use galera::{Galera, GaleraBuilder, GaleraError, GaleraNode};
pub use group::{Group, GroupError, Member};
pub use haproxy::{HaProxy, HaProxyError};
pub use mariadb::{Maker, MariaDb, MariaDbBuilder, MariaDbError};
