//! Peers for Evenhand's own tests. Not published.
//!
//! | room | holds |
//! | --- | --- |
//! | [`fake`] | [`FakeMySql`]: an in-process server that speaks enough of MySQL's protocol for a driver, and fails on command |
//! | [`mariadb`] | [`MariaDb`]: real `mariadbd` processes, each in its own temporary folder on its own port |
//! | `port` | a loopback port that stays ours while nothing listens on it |
//!
//! The double is for what a real server cannot be made to do, or not quickly: a reply cut in half, an error in place
//! of the greeting, silence after the login. The real servers are for what a double only pretends.

#![forbid(unsafe_code)]

pub mod fake;
pub mod mariadb;
mod port;

pub use fake::{ErrPacket, FakeMySql, FakeMySqlBuilder, Fault, Value};
pub use mariadb::{MariaDb, MariaDbBuilder, MariaDbError};
