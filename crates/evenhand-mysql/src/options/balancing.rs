//! Settings that say which peer gets a checkout, and what happens while too few peers are up.

use std::time::Duration;

use super::{AllDownKind, MinUp, PickKind, PoolOptions};

impl PoolOptions {
    /// Which of the peers that are up gets a checkout. Weights are set by
    /// [`PeersHandle::set_weight`](crate::PeersHandle::set_weight). Connections in use count as in
    /// flight. Default: [`PickKind::Uniform`].
    pub fn pick(mut self, pick: PickKind) -> Self {
        self.pick = pick;
        self
    }

    /// How long after its ejection a peer is first probed, unless
    /// [`max_recheck_interval`](Self::max_recheck_interval) is shorter; clamped to 1 ms to 1 year, with
    /// ±10 % jitter. Default:
    /// [`DEFAULT_FIRST_RECHECK`](crate::DEFAULT_FIRST_RECHECK).
    pub fn first_recheck(mut self, interval: Duration) -> Self {
        self.first_recheck = interval;
        self
    }

    /// The longest time between two probes of an ejected peer. The first probe comes after
    /// [`first_recheck`](Self::first_recheck); the time doubles after each failed one up to this limit,
    /// with ±10 % jitter. Clamped to 1 ms to 1 year. Default:
    /// [`DEFAULT_MAX_RECHECK_INTERVAL`](crate::DEFAULT_MAX_RECHECK_INTERVAL). In a config file its key is
    /// `check_interval`. The checks of peers that are up have an interval of their own: see
    /// [`HealthCheck::active`](crate::HealthCheck::active).
    pub fn max_recheck_interval(mut self, interval: Duration) -> Self {
        self.max_recheck_interval = interval;
        self
    }

    /// How many peers stay up whatever their errors say: an error does not eject a peer if fewer would
    /// be left. Does not apply to manual ejection. A percentage above 100 is treated as 100. Default:
    /// `MinUp::Peers(0)`, as a peer that cannot be reached is useless.
    ///
    /// ```
    /// use evenhand_mysql::{MinUp, PoolOptions};
    ///
    /// let one = PoolOptions::new().min_up(MinUp::Peers(1));
    /// let a_third = PoolOptions::new().min_up(MinUp::Percent(34));
    /// ```
    pub fn min_up(mut self, min_up: MinUp) -> Self {
        self.min_up = min_up;
        self
    }

    /// What a checkout does when no peer is left to try: wait, and ask them again, until the
    /// [checkout timeout](Self::checkout_timeout); fail at once; or go to peers that are out, as if they
    /// were up. Default: [`AllDownKind::Wait`].
    pub fn all_down(mut self, all_down: AllDownKind) -> Self {
        self.all_down = all_down;
        self
    }

    /// The most attempts that one checkout makes, hedges included, and the most tries of
    /// [idempotent work](crate::Pool::run_idempotent); 0 is treated as 1. `None`: as many as the time
    /// allows. Default: `None`.
    pub fn max_attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.max_attempts = attempts.into().map(|attempts| attempts.max(1));
        self
    }

    /// The most peers that may run [idempotent work](crate::Pool::run_idempotent), or a
    /// [transaction](crate::Pool::transaction), whose outcome stays unknown; 0 is treated as 1. After that
    /// many it goes only to those, once each has answered something since. So work that kills its servers
    /// cannot take all of them out. Default: [`evenhand::DEFAULT_MAX_UNKNOWN`].
    pub fn max_unknown(mut self, peers: usize) -> Self {
        self.max_unknown = peers.max(1);
        self
    }

    /// How many peers refuse a login before the checkout fails with the first refusal; 0 is treated as
    /// 1. If there are fewer peers, all of them. Default: [`evenhand::DEFAULT_MAX_REFUSALS`].
    pub fn max_refusals(mut self, peers: usize) -> Self {
        self.max_refusals = peers.max(1);
        self
    }

    /// Hedges checkouts: one that has no connection after this time asks a second peer as well. The
    /// first connection is used, and the other attempt is dropped. `None`: never. A time of the
    /// [checkout timeout](Self::checkout_timeout) or more has no effect. Default: `None`.
    ///
    /// Only the checkout is made twice, never a statement. Choose a time well above that of a login
    /// under load, so that hedging does not double the load at that moment.
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand_mysql::PoolOptions;
    ///
    /// let options = PoolOptions::new().hedge_after(Duration::from_millis(100));
    /// ```
    pub fn hedge_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.hedge_after = time.into();
        self
    }
}
