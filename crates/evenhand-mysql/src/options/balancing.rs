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
    /// [`max_recheck_interval`](Self::max_recheck_interval) is shorter. Default:
    /// [`DEFAULT_FIRST_RECHECK`](crate::DEFAULT_FIRST_RECHECK).
    pub fn first_recheck(mut self, interval: Duration) -> Self {
        self.first_recheck = interval;
        self
    }

    /// The longest time between two probes of an ejected peer. The first probe comes after
    /// [`first_recheck`](Self::first_recheck); the time doubles after each failed one up to this limit,
    /// with ±10 % jitter. Default: [`DEFAULT_MAX_RECHECK_INTERVAL`](crate::DEFAULT_MAX_RECHECK_INTERVAL). In a config file it is
    /// `check_interval`.
    pub fn max_recheck_interval(mut self, interval: Duration) -> Self {
        self.max_recheck_interval = interval;
        self
    }

    /// How many peers stay up whatever their errors say; those that failed last stay. Does not apply to
    /// manual ejection. Default: none, as a peer that cannot be reached is useless.
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

    /// What a checkout does while every peer is ejected: wait for one until its own time limit, fail at
    /// once, or make one attempt on the peer whose probe is due first. Default: [`AllDownKind::Wait`].
    pub fn all_down(mut self, all_down: AllDownKind) -> Self {
        self.all_down = all_down;
        self
    }

    /// Hedges checkouts: one that has no connection after this time asks a second peer as well. The
    /// first connection is used, and the other attempt is dropped. `None`: never. Default: `None`.
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
