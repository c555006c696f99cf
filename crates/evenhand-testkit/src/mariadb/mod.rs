//! [`MariaDb`]: real server processes, each with a temporary folder and a loopback port of its own.
//!
//! They are MariaDB servers, of whichever version is installed; or MySQL's, if the environment
//! variable `EVENHAND_MYSQLD` names such a program, or `PATH` has no other.
//!
//! | file | holds |
//! | --- | --- |
//! | `server.rs` | [`MariaDb`] |
//! | `builder.rs` | [`MariaDbBuilder`]: settings, and the start |
//! | `install.rs` | how a data directory is filled |
//! | `template.rs` | the data directory that every server starts from |
//! | `program.rs` | which server it is, and where its programs are; [`Maker`] |
//! | `owner.rs` | the user that servers run as |
//! | `ready.rs` | whether a server that was started answers |
//! | `error.rs` | [`MariaDbError`] |
//!
//! A MariaDB server takes about a third of a second to start and 60 MB of memory; one of MySQL's a
//! second and 240 MB, and ten seconds once in a process to fill the first data directory. All calls block: inside
//! an async test use `tokio::task::spawn_blocking`, or accept that they hold up a worker.

mod builder;
mod error;
mod install;
mod owner;
pub(crate) mod program;
mod ready;
mod server;
mod template;

pub use builder::MariaDbBuilder;
pub use error::MariaDbError;
pub use program::Maker;
pub use server::MariaDb;
