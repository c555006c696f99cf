//! A database that several peers serve.

use std::time::Duration;

use super::peer::Peer;
use super::settings::Settings;

/// The [check interval](BalancedDatabase::check_interval) if the file gives none: 30 seconds.
pub const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The longest `check_interval` that a file may give: one day. A longer one is rejected as a probable
/// mistake, because a recovered peer would stay ejected for that long.
pub const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// A database that is served by several equal peers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BalancedDatabase {
    /// Its name in the file: `default` for `[databases.default]`.
    pub alias: String,
    /// Its peers, in the order of the file: at least one, no duplicates. Each has inherited what it
    /// does not set from this database, and then from the defaults.
    pub peers: Vec<Peer>,
    /// The settings of its pool, with the file's defaults merged in.
    pub settings: Settings,
}

impl BalancedDatabase {
    /// The longest time between two probes of an ejected peer, not the interval of health checks, which is
    /// [`Settings::health_check_interval`]: above zero, at most
    /// [`MAX_CHECK_INTERVAL`]. [`DEFAULT_CHECK_INTERVAL`] if the file gives none.
    pub fn check_interval(&self) -> Duration {
        self.settings
            .check_interval
            .unwrap_or(DEFAULT_CHECK_INTERVAL)
    }
}
