//! [`HealthCheck`]: what a peer must do to count as ready for work, and when it is asked.

use std::time::Duration;

use crate::time::deadline::LONGEST;

use evenhand_config::ProbeKind;

/// Default interval of [active checks](HealthCheck::active): 5 s.
pub const DEFAULT_HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Default time without an answer after which a peer that callers wait for is
/// [checked](HealthCheck::silence): 500 ms.
pub const DEFAULT_SILENCE: Duration = Duration::from_millis(500);

/// Default number of silent checks after which a peer is [lost](HealthCheck::lost_after): 2.
pub const DEFAULT_LOST_AFTER: u32 = 2;

/// How a pool's peers are probed: after an ejection, on a schedule while they are up, and at once
/// when an outcome alone does not tell whether the peer is down.
///
/// A probe starts with a login like any caller's, on a separate connection, and needs no permit of
/// the pool. Given to a pool by [`PoolOptions::health_check`](crate::PoolOptions::health_check).
///
/// ```
/// use std::time::Duration;
/// use evenhand_mysql::{HealthCheck, PoolOptions, ProbeKind};
///
/// // Every second; two failures in a row eject.
/// let check = HealthCheck::new()
///     .probe(ProbeKind::Query {
///         sql: "SELECT in_service FROM ops.health".into(),
///         expect: "1".into(),
///     })
///     .active(Duration::from_secs(1), 2);
/// let options = PoolOptions::new().health_check(check);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct HealthCheck {
    probe: Option<ProbeKind>,
    timeout: Option<Duration>,
    synced: bool,
    /// The interval, and how many consecutive failures eject.
    active: Option<(Duration, u32)>,
    rise: u32,
    silence: Option<Duration>,
    lost_after: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            probe: None,
            timeout: None,
            synced: false,
            active: Some((DEFAULT_HEALTH_CHECK_INTERVAL, evenhand::DEFAULT_FALL)),
            rise: 1,
            silence: Some(DEFAULT_SILENCE),
            lost_after: DEFAULT_LOST_AFTER,
        }
    }
}

impl HealthCheck {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the probe does after its login. Default: [`ProbeKind::Ready`], or
    /// [`ProbeKind::Writable`] in pools that are declared
    /// [`writable`](crate::PoolOptions::writable).
    ///
    /// A probe passes only if its login and all that it asks succeed; no error is a pass, whatever its code.
    ///
    /// - `Ping`: pings. Does not find a Galera node that refuses work, or a proxy without a backend.
    /// - `Ready`: runs `DO 1`, which needs no privilege and fails on those two. A proxy that does not know
    ///   `DO 1` needs `Ping` or `Query`: an ejected peer would not come back.
    /// - `Writable`: as `Ready`, and none of `read_only`, `super_read_only`, `innodb_read_only` and
    ///   `tx_read_only` (`transaction_read_only`) may be on. A member of a replication group must be
    ///   online, and the group have its majority. Where the user may not read
    ///   `performance_schema.replication_group_members`, a warning says so once, and the settings decide.
    /// - `Query`: runs a query. The first value of its first row, as text, must be the expected one;
    ///   any other value, NULL, no row, or an error fails the probe.
    pub fn probe(mut self, probe: ProbeKind) -> Self {
        self.probe = Some(probe);
        self
    }

    /// How long one probe may take, its login included; at most a year. `None`: as long as
    /// [`connect_timeout`](crate::PoolOptions::connect_timeout). Default: `None`.
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = limit.into().map(|limit| limit.min(LONGEST));
        self
    }

    /// Whether Galera nodes must be synced, so that donors and nodes desynced for a backup are ejected.
    /// Each probe then also reads `wsrep_local_state`; a server that is no Galera node passes.
    /// Default: `false`, as donors do serve.
    pub fn synced(mut self, required: bool) -> Self {
        self.synced = required;
        self
    }

    /// Checks each peer that is up once an `interval` (clamped to 1 ms to 1 year, with ±10 % jitter),
    /// and ejects it after `fall` consecutive failures; 0 is treated as 1. Default:
    /// [`DEFAULT_HEALTH_CHECK_INTERVAL`] and [`evenhand::DEFAULT_FALL`].
    ///
    /// A peer that has answered anything within the interval is not checked, unless the probe is another
    /// than `Ready`, or asks for [`synced`](Self::synced). A check whose login is refused says nothing of
    /// the peer, nor does one that fails because this host lacks a resource, or whose `DO 1` meets an
    /// error that is in no row of the table: some proxies do not know it.
    pub fn active(mut self, interval: Duration, fall: u32) -> Self {
        self.active = Some((interval, fall.max(1)));
        self
    }

    /// Turns [active](Self::active) checks off: only ejected peers are probed, peers whose errors alone do
    /// not say whether they are down, and peers that fall [silent](Self::silence).
    pub fn passive(mut self) -> Self {
        self.active = None;
        self
    }

    /// Checks a peer at once when a login or a statement has waited for it for this long, at least 1 ms,
    /// and nothing at all was heard from it since. Default: [`DEFAULT_SILENCE`]. `None`: never.
    ///
    /// Such a check may take 1 s, or three times the slowest of this client's latest logins to the peer if
    /// that is longer, and at most the probe's [`timeout`](Self::timeout). If it gets no answer, it ejects
    /// the peer, whatever the `fall` of the [active](Self::active) checks, and is repeated at once; see
    /// [`lost_after`](Self::lost_after). While only statements wait that are slow on a peer that answers
    /// checks, these become as rare as the active ones. Statements on the pool itself and rows that are read
    /// one by one do not set off a check.
    pub fn silence(mut self, after: impl Into<Option<Duration>>) -> Self {
        let after: Option<Duration> = after.into();
        self.silence = after.map(|after| after.clamp(Duration::from_millis(1), LONGEST));
        self
    }

    /// How many consecutive checks without any answer end what still waits for the peer, with
    /// [`Error::PeerLost`](crate::Error::PeerLost); 0 is treated as 1. Default: [`DEFAULT_LOST_AFTER`].
    pub fn lost_after(mut self, checks: u32) -> Self {
        self.lost_after = checks.max(1);
        self
    }

    /// How many consecutive probes an ejected peer must pass to come back; 0 is treated as 1. They are
    /// one interval of the [active](Self::active) checks apart, or
    /// [`DEFAULT_HEALTH_CHECK_INTERVAL`] if these are off. Default: 1.
    pub fn rise(mut self, probes: u32) -> Self {
        self.rise = probes.max(1);
        self
    }
}

getters! {
    HealthCheck:
    get_probe = probe -> Option<ProbeKind>;
    get_timeout = timeout -> Option<Duration>;
    get_synced = synced -> bool;
    get_active = active -> Option<(Duration, u32)>;
    get_rise = rise -> u32;
    get_silence = silence -> Option<Duration>;
    get_lost_after = lost_after -> u32;
}
