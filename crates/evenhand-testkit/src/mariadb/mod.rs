//! [`MariaDb`]: real `mariadbd` processes, each with a temporary folder and a loopback port of its
//! own.
//!
//! | file | holds |
//! | --- | --- |
//! | `server.rs` | [`MariaDb`] |
//! | `builder.rs` | [`MariaDbBuilder`]: settings, and the start |
//! | `template.rs` | the data directory that every server starts from |
//! | `program.rs` | where MariaDB's programs are |
//! | `owner.rs` | the user that servers run as |
//! | `ready.rs` | whether a server that was started answers |
//! | `error.rs` | [`MariaDbError`] |
//!
//! A server takes about a third of a second to start and 60 MB of memory. All calls block: inside
//! an async test use `tokio::task::spawn_blocking`, or accept that they hold up a worker.

mod builder;
mod error;
mod owner;
mod program;
mod ready;
mod server;
mod template;

pub use builder::MariaDbBuilder;
pub use error::MariaDbError;
pub use server::MariaDb;
