//! When a peer is ejected, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::accrual::{Accrual, FailureRate};
use crate::book::Counts;
use crate::classify::{PeerVerdict, Verdict};
use crate::health::Phase;
use crate::member::Member;
use crate::random::Random;

/// The check interval where none is given: 30 s.
pub const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The first recheck of an ejected peer where the interval grows: 1 s.
pub const DEFAULT_FIRST_RECHECK: Duration = Duration::from_secs(1);

/// `Degraded` outcomes in a row that eject a peer: 5.
pub const DEFAULT_DEGRADED_LIMIT: u32 = 5;

/// How far a growing interval strays to either side, so that rechecks do not arrive as a herd.
const JITTER: f64 = 0.1;

/// No interval is shorter, so that a peer that fails at once is not probed without pause.
const SHORTEST: Duration = Duration::from_millis(1);

/// No interval is longer: a year, so that a due time can always be told.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// When to eject a peer, and when its next probe is due.
///
/// By default the first `Down` outcome ejects, and so do [`DEFAULT_DEGRADED_LIMIT`] `Degraded` ones
/// in a row. The next probe is due after [`DEFAULT_FIRST_RECHECK`], and after each probe that fails
/// the interval doubles, up to [`DEFAULT_CHECK_INTERVAL`], each strayed by up to a tenth.
///
/// ```
/// use std::time::Duration;
/// use evenhand::Eject;
///
/// // As django-proxysql does it: out on the first failure, tried again every 30 s.
/// let eject = Eject::on_first().recover_in(Duration::from_secs(30));
///
/// // Out when a fifth of at least 20 outcomes within 10 s failed; half of the peers stay in.
/// let eject = Eject::on_failure_rate(0.2, Duration::from_secs(10), 20).keep_share(0.5);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Eject {
    trip: Trip,
    recovery: Recovery,
    floor: Floor,
}

#[derive(Clone)]
enum Trip {
    InARow { down: u32, degraded: u32 },
    Accrual(Arc<dyn Fn() -> Box<dyn Accrual> + Send + Sync>),
}

#[derive(Clone, Debug)]
enum Recovery {
    Fixed(Duration),
    Growing { first: Duration, most: Duration },
}

#[derive(Clone, Copy, Debug)]
enum Floor {
    AtLeast(usize),
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
                most: DEFAULT_CHECK_INTERVAL,
            },
            floor: Floor::AtLeast(0),
        }
    }

    /// Ejects on the first `Down` outcome, with the defaults that are named at [`Eject`].
    pub const fn on_first() -> Self {
        Self::when(Trip::InARow {
            down: 1,
            degraded: DEFAULT_DEGRADED_LIMIT,
        })
    }

    /// Ejects after `failures` outcomes in a row that are `Down` or `Degraded`; nought counts as
    /// one.
    pub const fn after_in_a_row(failures: u32) -> Self {
        let failures = if failures == 0 { 1 } else { failures };
        Self::when(Trip::InARow {
            down: failures,
            degraded: failures,
        })
    }

    /// Ejects when at least `rate` (between 0 and 1) of the outcomes within the last `window` were
    /// `Down` or `Degraded`, once there are `at_least` outcomes in it.
    ///
    /// The window slides by tenths. This policy looks at the clock and takes a lock of the peer's
    /// own at every outcome; those that count in a row do not.
    pub fn on_failure_rate(rate: f64, window: Duration, at_least: u32) -> Self {
        Self::accrual(move || Box::new(FailureRate::new(rate, window, at_least)))
    }

    /// Ejects when a record of your own says so; `new_record` makes one for each peer.
    pub fn accrual(new_record: impl Fn() -> Box<dyn Accrual> + Send + Sync + 'static) -> Self {
        Self::when(Trip::Accrual(Arc::new(new_record)))
    }

    /// Where a single `Down` outcome ejects: so many `Degraded` ones in a row do, too; nought
    /// counts as one. Default: [`DEFAULT_DEGRADED_LIMIT`]. The other policies count both alike, and
    /// this changes nothing about them.
    pub fn after_degraded(mut self, limit: u32) -> Self {
        if let Trip::InARow { down: 1, degraded } = &mut self.trip {
            *degraded = limit.max(1);
        }
        self
    }

    /// A probe is due exactly `interval` after each ejection and each failed probe; at least 1 ms.
    pub fn recover_in(mut self, interval: Duration) -> Self {
        self.recovery = Recovery::Fixed(interval);
        self
    }

    /// The first probe is due `first` after the ejection; after each probe that fails the interval
    /// doubles, up to `most`. Each is strayed by up to a tenth, and at least 1 ms.
    pub fn recover_growing(mut self, first: Duration, most: Duration) -> Self {
        self.recovery = Recovery::Growing { first, most };
        self
    }

    /// Never ejects a peer if fewer than `peers` would be left up: then those that failed last, the
    /// least bad, stay in. Default: 0. An operator's hand is not bound by it.
    pub fn keep(mut self, peers: usize) -> Self {
        self.floor = Floor::AtLeast(peers);
        self
    }

    /// As [`keep`](Self::keep), for a share of all peers between 0 and 1, rounded up.
    pub fn keep_share(mut self, share: f64) -> Self {
        self.floor = Floor::Share(share);
        self
    }

    /// A `Healthy` outcome of a peer that is up.
    pub(crate) fn note_healthy<P>(&self, member: &Member<P>, generation: u32) {
        match &self.trip {
            Trip::InARow { .. } => member.health.absolve(generation),
            Trip::Accrual(make) => {
                let now = member.health.read();
                if now.phase == Phase::Up && now.generation == generation {
                    member.accrual(&**make).healthy();
                }
            }
        }
    }

    /// A `Degraded` or `Down` outcome of a peer that is up. Says whether to eject it.
    pub(crate) fn note_failed<P>(
        &self,
        member: &Member<P>,
        generation: u32,
        verdict: &Verdict,
    ) -> bool {
        match &self.trip {
            Trip::InARow { down, degraded } => {
                let limit = if verdict.peer == PeerVerdict::Down {
                    *down
                } else {
                    *degraded
                };
                member
                    .health
                    .degrade(generation)
                    .is_some_and(|in_a_row| in_a_row >= limit)
            }
            Trip::Accrual(make) => {
                let now = member.health.read();
                let current = now.phase == Phase::Up && now.generation == generation;
                current && member.accrual(&**make).failed(verdict)
            }
        }
    }

    /// Whether one peer fewer would be too few.
    pub(crate) fn must_keep(&self, counts: Counts) -> bool {
        let least = match self.floor {
            Floor::AtLeast(peers) => peers,
            Floor::Share(share) => (share.clamp(0.0, 1.0) * counts.members as f64).ceil() as usize,
        };
        counts.up <= least
    }

    /// How long after its `ejections`th ejection in a row a peer is probed.
    pub(crate) fn interval(&self, ejections: u32, random: &Random) -> Duration {
        let interval = match &self.recovery {
            Recovery::Fixed(interval) => *interval,
            Recovery::Growing { first, most } => {
                let doublings = ejections.saturating_sub(1).min(31);
                let grown = first.saturating_mul(1 << doublings).min(*most).min(LONGEST);
                grown.mul_f64(1.0 + JITTER * (2.0 * random.unit() - 1.0))
            }
        };
        within_bounds(interval)
    }
}

impl fmt::Debug for Eject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Eject");
        match &self.trip {
            Trip::InARow { down, degraded } => shown
                .field("down_in_a_row", down)
                .field("degraded_in_a_row", degraded),
            Trip::Accrual(_) => shown.field("accrual", &"of its own"),
        };
        shown
            .field("recovery", &self.recovery)
            .field("floor", &self.floor)
            .finish()
    }
}

/// `interval`, or the nearest one that is neither too short nor too long to be kept.
pub(crate) fn within_bounds(interval: Duration) -> Duration {
    interval.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_fixed_interval_is_exact() {
        let eject = Eject::on_first().recover_in(30 * SECOND);
        for ejections in [1, 2, 100] {
            assert_eq!(eject.interval(ejections, &Random::seeded(1)), 30 * SECOND);
        }
    }

    #[test]
    fn a_growing_interval_doubles_up_to_its_limit_with_jitter() {
        let eject = Eject::on_first().recover_growing(SECOND, 30 * SECOND);
        let random = Random::seeded(3);
        for (ejections, grown) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (u32::MAX, 30)] {
            let drawn: Vec<Duration> = (0..100)
                .map(|_| eject.interval(ejections, &random))
                .collect();
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
    fn no_interval_is_nought() {
        let eject = Eject::on_first().recover_in(Duration::ZERO);
        assert_eq!(eject.interval(1, &Random::seeded(1)), SHORTEST);
    }

    #[test]
    fn a_huge_interval_does_not_overflow() {
        let random = Random::seeded(1);
        let fixed = Eject::on_first().recover_in(Duration::MAX);
        let growing = Eject::on_first().recover_growing(Duration::MAX, Duration::MAX);
        assert_eq!(fixed.interval(1, &random), LONGEST);
        assert!(growing.interval(40, &random) <= LONGEST);
    }
}
