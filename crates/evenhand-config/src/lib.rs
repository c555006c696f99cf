//! One file that names database peers and balanced databases, checked before anything runs.
//!
//! A file gives each database an alias. A database is a *peer*, one server, or it is *balanced*: it
//! lists peers, and work on it is spread over them. [`Config::load`] reads such a file and answers
//! with a plan that can be run, or with everything that is wrong: each problem with file, line, column
//! and key, and with what would be right. This crate connects to nothing.
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
//! assert_eq!(default.check_interval, Duration::from_secs(30)); // the default
//!
//! // A plan can be logged: it shows no url and no password.
//! assert!(!format!("{config:?}").contains("secret"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file that is wrong is refused as a whole, and says all of it:
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
//! // The same, for a program.
//! let Error::Invalid(problems) = error else { unreachable!() };
//! let guesses: Vec<_> = problems.iter().map(|problem| problem.suggestion()).collect();
//! assert_eq!(guesses, [Some("port"), Some("db0")]);
//! ```
//!
//! # Beside the file
//!
//! - [`keys`] is every key that a file may have, as data. The reference page and the schema for
//!   editors are made of it.
//! - JSON with the keys of Django's `DATABASES` is read as well: [`Config::parse_json`], or any file
//!   that ends in `.json`.
//! - Variables override keys: `EVENHAND__DATABASES__DEFAULT__CHECK_INTERVAL=10s`. They are handed in,
//!   as [`Sources`].
//! - A password may stand in a variable (`password_env`) or in a file of its own (`password_file`);
//!   [`Config::reload_inputs`] names the files that a plan was read from.
//! - What is doubtful but can be run is in [`Config::warnings`].
//!
//! # What is where
//!
//! `keys` holds the table of keys. `tree` leads from a text to names and values with their places, and
//! lays variables over them; `read` leads from there to a plan, with every check. `plan` holds what a
//! file says, `problem` what can be wrong with it and how that is shown, `sources` what is read beside
//! the file, and `secret` the type for what must not be seen. `suggest` guesses which name was meant.

#![forbid(unsafe_code)]

mod docs;
mod keys;
mod plan;
mod problem;
mod read;
mod secret;
mod sources;
mod suggest;
mod tree;

pub use docs::{reference, schema};
pub use keys::{Key, Kind, PROBES, Scope, keys};
pub use plan::{
    Address, AllDown, BalancedDatabase, Config, Connections, DEFAULT_CHECK_INTERVAL, DEFAULT_PORT,
    Keep, MAX_CHECK_INTERVAL, PasswordSource, Peer, Pick, Probe, Settings, Tls,
};
pub use problem::{Error, Problem, Problems, Severity};
pub use secret::Secret;
pub use sources::Sources;

/// Runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
