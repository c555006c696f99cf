//! When a peer is ejected, and for how long. A policy as a value: it knows of verdicts, but of no
//! peer. What carries it out is [`attempt::ejection`](crate::attempt::ejection).

mod accrual;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::accrual::FailureRate;
use crate::interval::{LONGEST, with_jitter, within_bounds};
use crate::rng::Rng;

pub use self::accrual::Accrual;

/// The longest time between two probes of an ejected peer, unless it is set: 30 s.
pub const DEFAULT_MAX_RECHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The time between an ejection and the first probe, unless it is set: 1 s.
pub const DEFAULT_FIRST_RECHECK: Duration = Duration::from_secs(1);

/// The number of consecutive `Degraded` outcomes that eject a peer, unless it is set: 5.
pub const DEFAULT_DEGRADED_LIMIT: u32 = 5;

/// When to eject a peer, and when its next probe is due.
///
/// By default the first `Down` outcome ejects a peer, and so do [`DEFAULT_DEGRADED_LIMIT`]
/// consecutive `Degraded` ones. The first probe is due after [`DEFAULT_FIRST_RECHECK`]. After each
/// probe that fails the interval doubles, up to [`DEFAULT_MAX_RECHECK_INTERVAL`], with ±10 % jitter.
///
/// ```
/// use std::time::Duration;
/// use evenhand::Eject;
///
/// // As django-proxysql does it: out on the first failure, tried again every 30 s.
/// let eject = Eject::on_first().recheck_every(Duration::from_secs(30));
///
/// // Out when a fifth of at least 20 outcomes within 10 s failed; half of the peers stay in.
/// let eject = Eject::on_failure_rate(0.2, Duration::from_secs(10), 20).min_up_share(0.5);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Eject {
    trip: Trip,
    recovery: Recovery,
    floor: Floor,
}

/// What makes a peer trip.
#[derive(Clone)]
pub(crate) enum Trip {
    /// This many consecutive failures.
    InARow { down: u32, degraded: u32 },
    /// A record for each peer, which decides.
    Accrual(Arc<dyn Fn() -> Box<dyn Accrual> + Send + Sync>),
}

#[derive(Clone, Debug)]
enum Recovery {
    Fixed(Duration),
    Growing { first: Duration, max: Duration },
}

#[derive(Clone, Copy, Debug)]
enum Floor {
    Peers(usize),
    Share(f64),
}

impl Default for Eject {
    fn default() -> Self {
        Self::on_first()
    }
}

impl Eject {
    const fn when(trip: Trip) -> Self {
        Self {
            trip,
            recovery: Recovery::Growing {
                first: DEFAULT_FIRST_RECHECK,
                max: DEFAULT_MAX_RECHECK_INTERVAL,
            },
            floor: Floor::Peers(0),
        }
    }

    /// Ejects on the first `Down` outcome, or on [`DEFAULT_DEGRADED_LIMIT`] consecutive `Degraded`
    /// ones. The default.
    pub const fn on_first() -> Self {
        Self::on_first_or_degraded(DEFAULT_DEGRADED_LIMIT)
    }

    /// Ejects on the first `Down` outcome, or on `degraded` consecutive `Degraded` ones; 0 is
    /// treated as 1.
    pub const fn on_first_or_degraded(degraded: u32) -> Self {
        let degraded = if degraded == 0 { 1 } else { degraded };
        Self::when(Trip::InARow { down: 1, degraded })
    }

    /// Ejects after `failures` consecutive outcomes that are `Down` or `Degraded`; 0 is treated as
    /// 1.
    pub const fn after_in_a_row(failures: u32) -> Self {
        let failures = if failures == 0 { 1 } else { failures };
        Self::when(Trip::InARow {
            down: failures,
            degraded: failures,
        })
    }

    /// Ejects when at least the share `rate` of the outcomes within the last `window` were `Down`
    /// or `Degraded`, once there are `min_outcomes` in it.
    ///
    /// `rate` is clamped to 0 to 1; NaN is treated as 1. The window slides by tenths, and is at
    /// least 10 ms. `min_outcomes` of 0 is the same as 1. This policy reads the clock and takes a lock of the peer at every outcome; the
    /// policies that count consecutive outcomes do not.
    pub fn on_failure_rate(rate: f64, window: Duration, min_outcomes: u32) -> Self {
        Self::accrual(move || Box::new(FailureRate::new(rate, window, min_outcomes)))
    }

    /// Ejects when an [`Accrual`] of your own says so. `new_accrual` makes one for each peer, and
    /// another each time that the peer is back; it runs on callers' tasks.
    pub fn accrual(new_accrual: impl Fn() -> Box<dyn Accrual> + Send + Sync + 'static) -> Self {
        Self::when(Trip::Accrual(Arc::new(new_accrual)))
    }

    /// A probe is due exactly `interval`, clamped to 1 ms to 1 year, after each ejection and after
    /// each failed probe. Replaces [`recheck_growing`](Self::recheck_growing).
    pub fn recheck_every(mut self, interval: Duration) -> Self {
        self.recovery = Recovery::Fixed(interval);
        self
    }

    /// The first probe is due `first` after the ejection. After each probe that fails the interval
    /// doubles, up to `max`; so `max` applies also to the first one. Each interval has ±10 % jitter,
    /// and is clamped to 1 ms to 1 year. Replaces [`recheck_every`](Self::recheck_every).
    ///
    /// Default: [`DEFAULT_FIRST_RECHECK`] and [`DEFAULT_MAX_RECHECK_INTERVAL`].
    pub fn recheck_growing(mut self, first: Duration, max: Duration) -> Self {
        self.recovery = Recovery::Growing { first, max };
        self
    }

    /// Does not eject a peer if fewer than `peers` would be left up: then the peers that failed last
    /// stay up. Default: 0. Does not apply to manual ejection. Replaces
    /// [`min_up_share`](Self::min_up_share).
    pub fn min_up(mut self, peers: usize) -> Self {
        self.floor = Floor::Peers(peers);
        self
    }

    /// As [`min_up`](Self::min_up), for a share of all peers, such as 0.5; the number of peers is
    /// rounded up. A peer that joined [on proof](crate::Peers::joining_on_proof) counts once it has
    /// been up. The share is clamped to 0 to 1; NaN is treated as 0. Replaces
    /// [`min_up`](Self::min_up).
    pub fn min_up_share(mut self, share: f64) -> Self {
        self.floor = Floor::Share(share);
        self
    }

    pub(crate) fn trip(&self) -> &Trip {
        &self.trip
    }

    /// Whether a peer may be ejected where `up` of `peers` are up.
    pub(crate) fn may_eject(&self, up: usize, peers: usize) -> bool {
        let floor = match self.floor {
            Floor::Peers(floor) => floor,
            // A cast of NaN gives 0.
            Floor::Share(share) => (share.clamp(0.0, 1.0) * peers as f64).ceil() as usize,
        };
        up > floor
    }

    /// The time from a peer's ejection, the `ejections`th in a row, to its probe.
    pub(crate) fn interval(&self, ejections: u32, rng: &Rng) -> Duration {
        match &self.recovery {
            Recovery::Fixed(interval) => within_bounds(*interval),
            Recovery::Growing { first, max } => {
                let doublings = ejections.saturating_sub(1).min(31);
                let grown = first.saturating_mul(1 << doublings).min(*max);
                with_jitter(grown.min(LONGEST), rng)
            }
        }
    }

    /// The interval that a peer's failures grow up to. A peer that was up for so long starts anew.
    pub(crate) fn longest_interval(&self) -> Duration {
        match self.recovery {
            Recovery::Fixed(interval) => within_bounds(interval),
            Recovery::Growing { max, .. } => within_bounds(max),
        }
    }
}

impl fmt::Debug for Eject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Eject");
        match &self.trip {
            Trip::InARow { down, degraded } => shown
                .field("down_in_a_row", down)
                .field("degraded_in_a_row", degraded),
            Trip::Accrual(_) => shown.field("accrual", &"custom"),
        };
        shown
            .field("recovery", &self.recovery)
            .field("floor", &self.floor)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn fixed_interval_is_exact() {
        let eject = Eject::on_first().recheck_every(30 * SECOND);
        for ejections in [1, 2, 100] {
            assert_eq!(eject.interval(ejections, &Rng::seeded(1)), 30 * SECOND);
        }
    }

    #[test]
    fn growing_interval_doubles_up_to_its_limit() {
        let eject = Eject::on_first().recheck_growing(SECOND, 30 * SECOND);
        let rng = Rng::seeded(3);
        for (ejections, grown) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (u32::MAX, 30)] {
            let drawn: Vec<Duration> = (0..100).map(|_| eject.interval(ejections, &rng)).collect();
            let (low, high) = (
                SECOND.mul_f64(0.9 * f64::from(grown)),
                SECOND.mul_f64(1.1 * f64::from(grown)),
            );
            assert!(
                drawn.iter().all(|d| (low..=high).contains(d)),
                "{ejections}: {drawn:?}"
            );
            assert!(drawn.iter().any(|d| d != &drawn[0]), "without jitter");
        }
    }

    #[test]
    fn interval_is_never_zero() {
        let eject = Eject::on_first().recheck_every(Duration::ZERO);
        assert_eq!(eject.interval(1, &Rng::seeded(1)), Duration::from_millis(1));
    }

    #[test]
    fn huge_interval_does_not_overflow() {
        let rng = Rng::seeded(1);
        let fixed = Eject::on_first().recheck_every(Duration::MAX);
        let growing = Eject::on_first().recheck_growing(Duration::MAX, Duration::MAX);
        assert_eq!(fixed.interval(1, &rng), LONGEST);
        assert!(growing.interval(40, &rng) <= LONGEST);
    }

    #[test]
    fn floor_holds_for_any_share() {
        let share = |share: f64| Eject::on_first().min_up_share(share);
        assert!(!share(0.5).may_eject(5, 10));
        assert!(share(0.5).may_eject(6, 10));
        assert!(!share(2.0).may_eject(10, 10), "clamped to 1");
        assert!(share(-1.0).may_eject(1, 10), "clamped to 0");
        assert!(share(f64::NAN).may_eject(1, 10), "treated as 0");
    }
}
