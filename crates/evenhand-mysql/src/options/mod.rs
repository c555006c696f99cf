//! The settings of a pool, their defaults, and how to read them.
//!
//! Knows the classifier and the config's enums, nothing that opens a connection.

/// Declares getters of the settings of the same name.
macro_rules! getters {
    ($options:ty: $($getter:ident = $setting:ident -> $type:ty;)*) => { impl $options {$(
        #[doc = concat!("The value of [`", stringify!($setting), "`](Self::", stringify!($setting), ").")]
        pub fn $getter(&self) -> $type {
            self.$setting.clone()
        }
    )*} };
}

pub(crate) mod health;

mod balancing;
#[cfg(test)]
mod defaults;
mod judging;
mod members;
mod names;

use std::sync::Arc;
use std::time::Duration;

pub use evenhand_config::{AllDownKind, MinUp, PickKind, ProbeKind};

use crate::classify::Classifier;
use crate::membership::Membership;
use crate::names::dns::DnsSetting;
use crate::names::resolver::Resolver;
use crate::time::deadline::LONGEST;
use health::HealthCheck;

/// Default of [`PoolOptions::name`]: `default`.
pub const DEFAULT_NAME: &str = "default";
/// Default of [`PoolOptions::connect_timeout`]: 2 s.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Default of [`PoolOptions::checkout_timeout`]: 10 s.
pub const DEFAULT_CHECKOUT_TIMEOUT: Duration = Duration::from_secs(10);
/// Default of [`PoolOptions::try_timeout`]: 5 s.
pub const DEFAULT_TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Default of [`PoolOptions::work_timeout`]: 30 s.
pub const DEFAULT_WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of [`PoolOptions::max_lifetime`]: 30 min.
///
/// Logins stay rare, and a change behind a name or a proxy takes effect within the hour.
pub const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Default of [`PoolOptions::idle_timeout`]: 1 min.
///
/// Proxies, load balancers and firewalls drop silent connections after one to some minutes. A login
/// costs milliseconds.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Default of [`PoolOptions::name_lookup_interval`]: 3 s.
///
/// With a record that lives for a second, a name that moves is followed within 5 s.
pub const DEFAULT_NAME_LOOKUP_INTERVAL: Duration = Duration::from_secs(3);

/// The settings of a [`Pool`](crate::Pool), and the methods that open one with them: [`open`](Self::open),
/// [`open_url`](Self::open_url), [`open_config`](Self::open_config) and
/// [`open_databases`](Self::open_databases).
///
/// Each setting has a setter, and a getter whose name begins with `get_`.
///
/// ```
/// use std::time::Duration;
/// use evenhand_mysql::PoolOptions;
///
/// let options = PoolOptions::new()
///     .connect_timeout(Duration::from_millis(500))
///     .checkout_timeout(Duration::from_secs(3));
/// assert_eq!(options.get_connect_timeout(), Duration::from_millis(500));
/// ```
#[doc = include_str!("defaults.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PoolOptions {
    name: Arc<str>,
    connect_timeout: Duration,
    checkout_timeout: Duration,
    try_timeout: Duration,
    work_timeout: Duration,
    transaction_attempts: Option<u32>,
    max_connections: Option<usize>,
    max_lifetime: Option<Duration>,
    idle_timeout: Option<Duration>,
    pick: PickKind,
    first_recheck: Duration,
    max_recheck_interval: Duration,
    min_up: MinUp,
    all_down: AllDownKind,
    max_attempts: Option<u32>,
    max_unknown: usize,
    max_refusals: usize,
    hedge_after: Option<Duration>,
    classifier: Classifier,
    writable: bool,
    health_check: HealthCheck,
    end_on_lost_peer: bool,
    name_lookup_interval: Option<Duration>,
    resolver: Resolver,
    discover: Option<Membership>,
    dns: DnsSetting,
    init: Vec<String>,
    setup: Vec<String>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            name: DEFAULT_NAME.into(),
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            checkout_timeout: DEFAULT_CHECKOUT_TIMEOUT,
            try_timeout: DEFAULT_TRY_TIMEOUT,
            work_timeout: DEFAULT_WORK_TIMEOUT,
            transaction_attempts: None,
            max_connections: None,
            max_lifetime: Some(DEFAULT_MAX_LIFETIME),
            idle_timeout: Some(DEFAULT_IDLE_TIMEOUT),
            pick: PickKind::Uniform,
            first_recheck: evenhand::DEFAULT_FIRST_RECHECK,
            max_recheck_interval: evenhand::DEFAULT_MAX_RECHECK_INTERVAL,
            min_up: MinUp::Peers(0),
            all_down: AllDownKind::Wait,
            max_attempts: None,
            max_unknown: evenhand::DEFAULT_MAX_UNKNOWN,
            max_refusals: evenhand::DEFAULT_MAX_REFUSALS,
            hedge_after: None,
            classifier: Classifier::default(),
            writable: false,
            health_check: HealthCheck::default(),
            end_on_lost_peer: true,
            name_lookup_interval: Some(DEFAULT_NAME_LOOKUP_INTERVAL),
            resolver: Resolver::system(),
            discover: None,
            dns: DnsSetting::default(),
            init: Vec::new(),
            setup: Vec::new(),
        }
    }
}

/// Its name, and limits in time and number. Every time is cut to a year.
impl PoolOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pool's name, which tells it from other pools in log lines, events, metrics and spans. Give each
    /// pool of a process its own. A pool that is opened from a config file has its database's alias.
    /// Default: [`DEFAULT_NAME`].
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// How long one peer may take to give a connection: name resolution, TCP, TLS and login together.
    /// A peer that takes longer, and answers nothing else meanwhile, is ejected, and another is tried.
    /// Waiting for a free connection does not count. Default: [`DEFAULT_CONNECT_TIMEOUT`].
    ///
    /// It also limits the clean-up of a returned connection, and each probe unless
    /// [`HealthCheck::timeout`] is set. A checkout ends by its
    /// [`checkout_timeout`](Self::checkout_timeout) in any case.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit.min(LONGEST);
        self
    }

    /// How long a checkout may take in total, over every peer that it tries and while it waits for a
    /// peer to recover. In [`Pool::run_idempotent`](crate::Pool::run_idempotent) and
    /// [`Pool::transaction`](crate::Pool::transaction) the [work timeout](Self::work_timeout) limits the
    /// checkouts instead. Default: [`DEFAULT_CHECKOUT_TIMEOUT`].
    pub fn checkout_timeout(mut self, limit: Duration) -> Self {
        self.checkout_timeout = limit.min(LONGEST);
        self
    }

    /// How long one try of [idempotent work](crate::Pool::run_idempotent) may take, from the moment at
    /// which it has a connection. Then it is tried on another peer. Default:
    /// [`DEFAULT_TRY_TIMEOUT`].
    pub fn try_timeout(mut self, limit: Duration) -> Self {
        self.try_timeout = limit.min(LONGEST);
        self
    }

    /// How long [idempotent work](crate::Pool::run_idempotent) or a
    /// [transaction](crate::Pool::transaction) may take in total. Default: [`DEFAULT_WORK_TIMEOUT`].
    pub fn work_timeout(mut self, limit: Duration) -> Self {
        self.work_timeout = limit.min(LONGEST);
        self
    }

    /// How many times the work of a [transaction](crate::Pool::transaction) is run at most, the first
    /// time included; 0 is treated as 1. `None`: as often as the
    /// [work timeout](Self::work_timeout) allows. Default: `None`.
    pub fn transaction_attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.transaction_attempts = attempts.into().map(|attempts| attempts.max(1));
        self
    }

    /// The statements that each new connection begins with, in this order, before those of its peer's own
    /// options. What they set is gone once the connection was returned and reset; see [`setup`](Self::setup).
    /// Default: none.
    ///
    /// A peer that refuses one refuses the login.
    pub fn init(mut self, statements: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.init = statements.into_iter().map(Into::into).collect();
        self
    }

    /// The statements that follow [`init`](Self::init), and each reset of a connection, in this order,
    /// before those of its peer's own options. So what they set holds for every caller. Default: none.
    ///
    /// ```
    /// # use evenhand_mysql::PoolOptions;
    /// let options = PoolOptions::new().setup(["SET SESSION sql_mode = 'TRADITIONAL'"]);
    /// # assert_eq!(options.get_setup().len(), 1);
    /// ```
    pub fn setup(mut self, statements: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.setup = statements.into_iter().map(Into::into).collect();
        self
    }

    /// How many connections to all peers together may be in use at a time. `None`: only each peer's
    /// own limit applies (`pool_max`, 100 by default). With `Some(0)` every checkout fails. Default:
    /// `None`.
    ///
    /// A checkout waits for a permit in FIFO order within its time limit, before a peer is picked, and
    /// holds it until its connection is returned. Idle connections do not count. If no permit comes
    /// free in time, the error is [`Error::Full`](crate::Error::Full).
    pub fn max_connections(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.max_connections = limit.into();
        self
    }

    /// How long a connection lives, with ±10 % jitter (none below 10 s). `None`: no limit. It is closed
    /// when it is idle or returned, never while it is in use. A peer's own `abs_conn_ttl` takes
    /// precedence. Default: [`DEFAULT_MAX_LIFETIME`].
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = lifetime.into().map(|lifetime| lifetime.min(LONGEST));
        self
    }

    /// How long a connection above `pool_min` may be idle before it is closed; the delay may be up to a
    /// quarter of this time, and at least 1 s. `None`: no limit. A peer's own
    /// `inactive_connection_ttl` takes precedence. Default: [`DEFAULT_IDLE_TIMEOUT`].
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = timeout.into().map(|timeout| timeout.min(LONGEST));
        self
    }
}

getters! {
    PoolOptions:
    get_name = name -> Arc<str>;
    get_connect_timeout = connect_timeout -> Duration;
    get_checkout_timeout = checkout_timeout -> Duration;
    get_try_timeout = try_timeout -> Duration;
    get_work_timeout = work_timeout -> Duration;
    get_transaction_attempts = transaction_attempts -> Option<u32>;
    get_max_connections = max_connections -> Option<usize>;
    get_max_lifetime = max_lifetime -> Option<Duration>;
    get_idle_timeout = idle_timeout -> Option<Duration>;
    get_pick = pick -> PickKind;
    get_first_recheck = first_recheck -> Duration;
    get_max_recheck_interval = max_recheck_interval -> Duration;
    get_min_up = min_up -> MinUp;
    get_all_down = all_down -> AllDownKind;
    get_max_attempts = max_attempts -> Option<u32>;
    get_max_unknown = max_unknown -> usize;
    get_max_refusals = max_refusals -> usize;
    get_hedge_after = hedge_after -> Option<Duration>;
    get_classifier = classifier -> Classifier;
    get_writable = writable -> bool;
    get_health_check = health_check -> HealthCheck;
    get_end_on_lost_peer = end_on_lost_peer -> bool;
    get_name_lookup_interval = name_lookup_interval -> Option<Duration>;
    get_resolver = resolver -> Resolver;
    get_discover = discover -> Option<Membership>;
    get_init = init -> Vec<String>;
    get_setup = setup -> Vec<String>;
}
