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
//!     "evenhand.toml:4:1: databases.db0.prot: unknown key `prot`; \
//!      a peer has: url, host, port, user, password, name (did you mean `port`?)\n\
//!      evenhand.toml:7:17: databases.default.peers[1]: no database `db9`; \
//!      known: db0 (did you mean `db0`?)"
//! );
//!
//! // The same, for a program.
//! let Error::Invalid(problems) = error else { unreachable!() };
//! let lines: Vec<usize> = problems.iter().map(|problem| problem.line()).collect();
//! assert_eq!(lines, [4, 7]);
//! ```
//!
//! # The keys
//!
//! | key | of | value | default |
//! | --- | --- | --- | --- |
//! | `url` | a peer | a `mysql://` url with one host | |
//! | `host` | a peer without `url` | a host name or an IP address | required |
//! | `port` | a peer without `url` | 1 to 65535 | [`DEFAULT_PORT`] |
//! | `user`, `password`, `name` | a peer without `url` | strings; `name` is the database (schema) | none |
//! | `peers` | a balanced database | the aliases of its peers, at least one, none twice | required |
//! | `check_interval` | a balanced database | humantime's notation, such as `"30s"`, `"500ms"`, `"1m 30s"`; above zero, at most [`MAX_CHECK_INTERVAL`] | [`DEFAULT_CHECK_INTERVAL`] |
//!
//! No other key is accepted. A peer may stand in several lists, or in none.
//!
//! # What is where
//!
//! `plan` holds what a file says, `error` what can be wrong with it, and `secret` the type for what
//! must not be seen. `read` leads from a text to a plan; `suggest` guesses which name was meant.

#![forbid(unsafe_code)]

mod error;
mod plan;
mod read;
mod secret;
mod suggest;

pub use error::{Error, Problem, Problems};
pub use plan::{
    Address, BalancedDatabase, Config, DEFAULT_CHECK_INTERVAL, DEFAULT_PORT, MAX_CHECK_INTERVAL,
    Peer,
};
pub use secret::Secret;

/// Runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
