//! The plan: what a file says once it has been checked.
//!
//! Nothing in a plan refers to anything by name any more. A balanced database holds its peers, with
//! all that they inherit, and whoever has a plan has one that can be run; there is no second check to
//! make. What the file does not say is `None`, and the pool's own default stands.
//!
//! | room | holds |
//! | --- | --- |
//! | `config` | `Config`: how a plan is come by, and what is in it |
//! | `peer` | `Peer`: its address, its connections |
//! | `settings` | `Settings` of a balanced database |

mod config;
mod peer;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::config::Config;
pub use self::peer::{Address, Connections, PasswordSource, Peer, Tls};
pub(crate) use self::settings::{ALL_DOWN_WORDS, PICK_WORDS};
pub use self::settings::{AllDown, Keep, Pick, Probe, Settings};

/// How often an ejected peer is checked where a balanced database sets no `check_interval`:
/// 30 seconds.
pub const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The longest `check_interval` that is accepted: one day. A longer one is taken for a slip, since a
/// peer that came back would be left out for as long.
pub const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The port of a peer that is given by `host` and sets no `port`: 3306, MySQL's own.
pub const DEFAULT_PORT: u16 = 3306;

/// A database that is served by several equal peers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BalancedDatabase {
    /// The name it has in the file: `default` for `[databases.default]`.
    pub alias: String,
    /// Its peers, in the order in which the file lists them: at least one, and none twice. Each has
    /// inherited what it does not say itself from this database, or else from the defaults.
    pub peers: Vec<Peer>,
    /// How often an ejected peer is checked: above zero, at most [`MAX_CHECK_INTERVAL`], and
    /// [`DEFAULT_CHECK_INTERVAL`] where the file does not say.
    pub check_interval: Duration,
    /// What the file says of its pool, the defaults included.
    pub settings: Settings,
}
