//! [`FakeMySql`]: a server that speaks MySQL's protocol inside the test's own process, and fails on
//! command.
//!
//! | module | holds |
//! | --- | --- |
//! | `double` | [`FakeMySql`] and its builder |
//! | `serve` | one connection from greeting to end, and where faults strike |
//! | `commands` | what a connection does with a command |
//! | `session` | a connection's state, and what gathers its replies |
//! | `server` | what all connections share: the listening socket, the controls, counters |
//! | `sql` | just enough SQL to say what a statement gives |
//! | `protocol` | the packets |
//! | `value` | [`Value`], columns and rows |
//! | `faults` | [`Fault`] and [`ErrPacket`]: how it can fail |
//!
//! Each imports only from those below it.

mod commands;
mod double;
mod faults;
mod protocol;
mod serve;
mod server;
mod session;
mod sql;
mod value;

pub use double::{FakeMySql, FakeMySqlBuilder};
pub use faults::{ErrPacket, Fault};
pub use value::Value;
