//! How checkouts are spread over the peers, and what becomes of them while too few are up.

use std::time::Duration;

use evenhand::Eject;
use evenhand_config::{AllDown, Keep, Pick};

use crate::options::PoolOptions;

/// An ejected peer is first rechecked after this time, unless the check interval is shorter: 1 s.
pub const DEFAULT_FIRST_RECHECK: Duration = Duration::from_secs(1);

/// The part of [`PoolOptions`] that this room is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) pick: Pick,
    pub(crate) first_recheck: Duration,
    pub(crate) keep: Keep,
    pub(crate) all_down: AllDown,
    pub(crate) hedge_after: Option<Duration>,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            pick: Pick::Uniform,
            first_recheck: DEFAULT_FIRST_RECHECK,
            keep: Keep::Peers(0),
            all_down: AllDown::Wait,
            hedge_after: None,
        }
    }
}

impl PoolOptions {
    /// Which of the peers that are up gets a checkout. Weights are set by
    /// [`PeersHandle::set_weight`](crate::PeersHandle::set_weight). Connections that are held count as
    /// in flight. Default: [`Pick::Uniform`].
    pub fn pick(mut self, pick: Pick) -> Self {
        self.spread.pick = pick;
        self
    }

    /// How soon after its ejection a peer is first probed, if the
    /// [check interval](Self::check_interval) is not shorter. Default: [`DEFAULT_FIRST_RECHECK`].
    pub fn first_recheck(mut self, interval: Duration) -> Self {
        self.spread.first_recheck = interval;
        self
    }

    /// How many peers stay up whatever their errors say: the least bad, those that failed last. An
    /// operator's hand is not bound by it. Default: none, as a peer that cannot be reached is of no use.
    ///
    /// ```
    /// use evenhand_mysql::{Keep, PoolOptions};
    ///
    /// let one = PoolOptions::default().keep(Keep::Peers(1));
    /// let a_third = PoolOptions::default().keep(Keep::Percent(34));
    /// ```
    pub fn keep(mut self, keep: Keep) -> Self {
        self.spread.keep = keep;
        self
    }

    /// What a checkout does while every peer is out: wait for one until its own time is up, fail at
    /// once, or make one attempt on the peer that is due soonest. Default: [`AllDown::Wait`].
    pub fn all_down(mut self, all_down: AllDown) -> Self {
        self.spread.all_down = all_down;
        self
    }

    /// After what time a checkout that has no connection yet asks a second peer as well; whoever gives
    /// one first is taken, and the other attempt is dropped. `None`: never. Default: `None`.
    ///
    /// It is the checkout that is asked for twice, never a statement. A time well above what a login
    /// takes when all are busy guards against doubling their load then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand_mysql::PoolOptions;
    ///
    /// let options = PoolOptions::default().hedge_after(Duration::from_millis(100));
    /// ```
    pub fn hedge_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.spread.hedge_after = time.into();
        self
    }

    pub(crate) fn eject(&self) -> Eject {
        let longest = self.check_interval;
        let eject =
            Eject::on_first().recover_growing(self.spread.first_recheck.min(longest), longest);
        match self.spread.keep {
            Keep::Peers(peers) => eject.keep(peers),
            Keep::Percent(percent) => eject.keep_share(f64::from(percent) / 100.0),
        }
    }

    pub(crate) fn balancers_all_down(&self) -> evenhand::AllDown {
        match self.spread.all_down {
            // The caller's own deadline ends the wait.
            AllDown::Wait => evenhand::AllDown::WaitUpTo(Duration::MAX),
            AllDown::Fail => evenhand::AllDown::Fail,
            AllDown::LastResort => evenhand::AllDown::LastResort,
        }
    }
}
