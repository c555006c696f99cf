//! Reads and checks the configuration file of Evenhand: database peers, and balanced databases that spread their
//! work over them. It connects to nothing.
//!
//! ```
//! use std::time::Duration;
//!
//! use evenhand_config::Config;
//!
//! let config: Config = r#"
//!     [databases.db0]
//!     url = "mysql://app:secret@10.0.0.1:3306/shop"
//!
//!     [databases.db1]
//!     host = "10.0.0.2"
//!     user = "app"
//!     password = "secret"
//!     name = "shop"
//!
//!     [databases.default]
//!     peers = ["db0", "db1"]
//! "#
//! .parse()?;
//!
//! let default = config.balanced("default").ok_or("no such database")?;
//! assert_eq!(default.peers[1].alias, "db1");
//! assert_eq!(default.check_interval(), Duration::from_secs(30)); // the default
//!
//! // It can be logged: `Debug` shows no URL and no password.
//! assert!(!format!("{config:?}").contains("secret"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file gives each database an alias. A database is a *peer*, one server, or it is *balanced*: it lists peers. A file
//! is accepted or rejected as a whole. An error has every problem, each with file, line, column and key, and with what
//! would be right:
//!
//! ```
//! use evenhand_config::{Config, Error};
//!
//! let text = r#"
//! [databases.db0]
//! host = "10.0.0.1"
//! prot = 3306
//!
//! [databases.default]
//! peers = ["db0", "db9"]
//! "#;
//!
//! let error = Config::parse(text, "evenhand.toml").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "evenhand.toml:4:1: databases.db0.prot: unknown key `prot` (did you mean `port`?)\n\
//!      evenhand.toml:7:17: databases.default.peers[1]: no database `db9`; \
//!      known: db0 (did you mean `db0`?)"
//! );
//!
//! // The same as data.
//! let Error::Invalid(problems) = error else { unreachable!() };
//! let guesses: Vec<_> = problems.iter().map(|problem| problem.suggestion()).collect();
//! assert_eq!(guesses, [Some("port"), Some("db0")]);
//! ```
//!
//! # Other inputs
//!
//! - [`Config::load`] reads a file. If its name ends in `.json`, it is JSON with the keys of Django's `DATABASES`; see
//!   [`Config::parse_json`].
//! - Environment variables override keys: `EVENHAND__DATABASES__DEFAULT__CHECK_INTERVAL=10s`. [`Sources`] has them.
//! - A password may be in an environment variable (`password_env`) or in a file (`password_file`).
//!   [`Config::reload_inputs`] names all files that were read.
//! - [`Config::warnings`] has what is probably a mistake, but is valid.
//! - [`keys()`] has every key as data. The
//!   [reference page](https://github.com/evenhand/evenhand/blob/main/docs/CONFIG.md) and the
//!   [schema for editors](https://github.com/evenhand/evenhand/blob/main/docs/evenhand.schema.json) are made from it.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod host_port;
mod keys;
mod load;
mod plan;
mod problem;
mod read;
mod secret;
mod sources;
mod suggest;
mod tree;

pub use host_port::{HostPort, HostPortError};
pub use keys::{Key, Scope, ValueKind, keys};
pub use plan::{
    Address, AllDownKind, BalancedDatabase, Config, Connections, DEFAULT_CHECK_INTERVAL,
    DEFAULT_PORT, DiscoverKind, HostsKind, MAX_CHECK_INTERVAL, MinUp, PasswordSource, Peer,
    PickKind, ProbeKind, Settings, Tls,
};
pub use problem::{Error, Problem, Problems, Severity};
pub use secret::Secret;
pub use sources::Sources;

/// Runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
