//! How long things may take, and how many connections there may be.

use std::time::Duration;

use crate::spread::Spread;
use crate::watch::Watch;

/// One attempt to get a connection from one peer: 2 s.
pub const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// A checkout as a whole: 10 s.
pub const DEFAULT_CHECKOUT_TIMEOUT: Duration = Duration::from_secs(10);
/// One try of idempotent work: 5 s.
pub const DEFAULT_TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Idempotent work as a whole: 30 s.
pub const DEFAULT_WORK_TIMEOUT: Duration = Duration::from_secs(30);

/// A transaction of [`Pool::transaction`](crate::Pool::transaction) is run at most so often: 5 times.
pub const DEFAULT_TRANSACTION_ATTEMPTS: u32 = 5;

/// How long a connection lives: 30 min, a tenth more or less by chance.
///
/// Long enough that logins are rare, and short enough that what changed behind a name or a proxy,
/// and where the load lies, is taken up within the hour.
pub const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How long a connection beyond the pool's `min` may be idle: 1 min.
///
/// Proxies, load balancers and firewalls drop silent connections after one to some minutes; and
/// what a failover made the surviving peers hold is given back within it. A login costs
/// milliseconds.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of a [`Pool`](crate::Pool): its limits, and how its peers are watched.
///
/// ```
/// use std::time::Duration;
/// use evenhand_mysql::PoolOptions;
///
/// let options = PoolOptions::default()
///     .attempt_timeout(Duration::from_millis(500))
///     .checkout_timeout(Duration::from_secs(3));
/// ```
///
#[doc = include_str!("defaults.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PoolOptions {
    pub(crate) attempt_timeout: Duration,
    pub(crate) checkout_timeout: Duration,
    pub(crate) try_timeout: Duration,
    pub(crate) work_timeout: Duration,
    pub(crate) transaction_attempts: u32,
    pub(crate) check_interval: Duration,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) spread: Spread,
    pub(crate) watch: Watch,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            attempt_timeout: DEFAULT_ATTEMPT_TIMEOUT,
            checkout_timeout: DEFAULT_CHECKOUT_TIMEOUT,
            try_timeout: DEFAULT_TRY_TIMEOUT,
            work_timeout: DEFAULT_WORK_TIMEOUT,
            transaction_attempts: DEFAULT_TRANSACTION_ATTEMPTS,
            check_interval: evenhand_config::DEFAULT_CHECK_INTERVAL,
            max_connections: None,
            max_lifetime: Some(DEFAULT_MAX_LIFETIME),
            idle_timeout: Some(DEFAULT_IDLE_TIMEOUT),
            spread: Spread::default(),
            watch: Watch::default(),
        }
    }
}

impl PoolOptions {
    /// How long one peer may take to give a connection: name resolution, TCP, TLS and login
    /// together. A peer that takes longer, and answers nothing else meanwhile, is ejected and another
    /// is tried. Waiting for a free connection does not count. It also limits the clean-up of a
    /// connection that is returned, and each probe unless that has a
    /// [limit of its own](Self::probe_timeout). Default:
    /// [`DEFAULT_ATTEMPT_TIMEOUT`].
    pub const fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.attempt_timeout = limit;
        self
    }

    /// How long a checkout may take in all, over every peer it tries and while it waits for a peer
    /// to recover. Default: [`DEFAULT_CHECKOUT_TIMEOUT`].
    pub const fn checkout_timeout(mut self, limit: Duration) -> Self {
        self.checkout_timeout = limit;
        self
    }

    /// How long idempotent work may take on one peer, from the moment it has a connection, before
    /// it is tried on another (see [`Pool::run_idempotent`](crate::Pool::run_idempotent)).
    /// Default: [`DEFAULT_TRY_TIMEOUT`].
    pub const fn try_timeout(mut self, limit: Duration) -> Self {
        self.try_timeout = limit;
        self
    }

    /// How long idempotent work, or a transaction of [`Pool::transaction`](crate::Pool::transaction),
    /// may take in all. Default: [`DEFAULT_WORK_TIMEOUT`].
    pub const fn work_timeout(mut self, limit: Duration) -> Self {
        self.work_timeout = limit;
        self
    }

    /// How often a transaction of [`Pool::transaction`](crate::Pool::transaction) is run at most;
    /// nought counts as one. Default: [`DEFAULT_TRANSACTION_ATTEMPTS`].
    pub const fn transaction_attempts(mut self, attempts: u32) -> Self {
        self.transaction_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The longest time between two probes of an ejected peer. The first comes after
    /// [`first_recheck`](Self::first_recheck), and after each that fails the time doubles, up to
    /// this. Each is strayed by up to a tenth, so that clients do not probe together. Default:
    /// [`evenhand_config::DEFAULT_CHECK_INTERVAL`].
    pub const fn check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// How many connections may be out at a time in all, over every peer; `None`: only each peer's
    /// own limit counts (`pool_max`, 100 unless set). Default: `None`.
    ///
    /// A checkout waits for a place within its time limit, first come first served, and holds it
    /// from before its peer is picked until its connection is back. Idle connections do not count.
    /// Where no place comes free in time, the error is [`Error::Full`](crate::Error::Full), and no
    /// peer is to blame.
    pub const fn max_connections(mut self, limit: Option<usize>) -> Self {
        self.max_connections = limit;
        self
    }

    /// How long a connection lives, a tenth more or less by chance so that those that were opened
    /// together do not end together; `None`: for ever. It is closed when it is idle or comes back,
    /// never while it is in use. Shorter than 10 s, the chance is left out. `abs_conn_ttl` among a
    /// peer's own options comes before it. Default: [`DEFAULT_MAX_LIFETIME`].
    pub const fn max_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// How long a connection beyond `pool_min` may be idle before it is closed, within a quarter of
    /// that time, at least a second; `None`: for ever. `inactive_connection_ttl` among a peer's own
    /// options comes before it. Default: [`DEFAULT_IDLE_TIMEOUT`].
    pub const fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }
}
