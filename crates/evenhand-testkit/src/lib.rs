//! Peers for Evenhand's own tests. Not published.
//!
//! | room | holds |
//! | --- | --- |
//! | [`fake`] | [`FakeMySql`]: an in-process MySQL server that fails on command |
//! | [`mariadb`] | [`MariaDb`]: real `mariadbd` processes |
//! | `port` | a loopback port that stays ours while nothing listens on it |
//!
//! The double is for what a real server cannot be made to do, or not quickly: a reply cut in half,
//! an error in place of the greeting, silence after the login. The real servers are for what a
//! double only pretends.

#![forbid(unsafe_code)]

pub mod fake;
pub mod mariadb;
mod port;

pub use fake::{ErrPacket, FakeMySql, FakeMySqlBuilder, Fault, Value};
pub use mariadb::{MariaDb, MariaDbBuilder, MariaDbError};
