//! How long things may take.

use std::time::Duration;

use evenhand::Eject;

/// One attempt to get a connection from one peer: 2 s.
pub const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// A checkout as a whole: 10 s.
pub const DEFAULT_CHECKOUT_TIMEOUT: Duration = Duration::from_secs(10);
/// One try of idempotent work: 5 s.
pub const DEFAULT_TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Idempotent work as a whole: 30 s.
pub const DEFAULT_WORK_TIMEOUT: Duration = Duration::from_secs(30);

/// An ejected peer's first recheck, where the check interval is not shorter.
const FIRST_RECHECK: Duration = Duration::from_secs(1);

/// The time limits of a [`Pool`](crate::Pool).
///
/// ```
/// use std::time::Duration;
/// use evenhand_mysql::PoolOptions;
///
/// let options = PoolOptions::default()
///     .attempt_timeout(Duration::from_millis(500))
///     .checkout_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PoolOptions {
    pub(crate) attempt_timeout: Duration,
    pub(crate) checkout_timeout: Duration,
    pub(crate) try_timeout: Duration,
    pub(crate) work_timeout: Duration,
    pub(crate) check_interval: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            attempt_timeout: DEFAULT_ATTEMPT_TIMEOUT,
            checkout_timeout: DEFAULT_CHECKOUT_TIMEOUT,
            try_timeout: DEFAULT_TRY_TIMEOUT,
            work_timeout: DEFAULT_WORK_TIMEOUT,
            check_interval: evenhand_config::DEFAULT_CHECK_INTERVAL,
        }
    }
}

impl PoolOptions {
    /// How long one peer may take to give a connection: name resolution, TCP, TLS and login
    /// together. A peer that takes longer, and answers nothing else meanwhile, is ejected and another
    /// is tried. Waiting for a free connection does not count. It also limits each probe, and the
    /// clean-up of a connection that is returned. Default:
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

    /// How long idempotent work may take in all. Default: [`DEFAULT_WORK_TIMEOUT`].
    pub const fn work_timeout(mut self, limit: Duration) -> Self {
        self.work_timeout = limit;
        self
    }

    /// The longest time between two probes of an ejected peer. The first comes after a second (or
    /// after this interval, if it is shorter), and after each that fails the time doubles, up to
    /// this. Each is strayed by up to a tenth, so that clients do not probe together. Default:
    /// [`evenhand_config::DEFAULT_CHECK_INTERVAL`].
    pub const fn check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    pub(crate) fn eject(&self) -> Eject {
        Eject::on_first()
            .recover_growing(FIRST_RECHECK.min(self.check_interval), self.check_interval)
    }
}
