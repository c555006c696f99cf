//! When a peer is ejected, and for how long.

use std::time::Duration;

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
/// The first `Down` outcome ejects, and so do [`DEFAULT_DEGRADED_LIMIT`] `Degraded` ones in a row.
/// By default the next probe is due after [`DEFAULT_FIRST_RECHECK`], and after each probe that
/// fails the interval doubles, up to [`DEFAULT_CHECK_INTERVAL`], each strayed by up to a tenth.
///
/// ```
/// use std::time::Duration;
/// use evenhand::Eject;
///
/// // As django-proxysql does it: out on the first failure, tried again every 30 s.
/// let eject = Eject::on_first().recover_in(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Eject {
    degraded_limit: u32,
    recovery: Recovery,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Recovery {
    Fixed(Duration),
    Growing { first: Duration, most: Duration },
}

impl Default for Eject {
    fn default() -> Self {
        Self::on_first()
    }
}

impl Eject {
    /// Ejects on the first `Down` outcome, with the defaults that are named at [`Eject`].
    pub const fn on_first() -> Self {
        Self {
            degraded_limit: DEFAULT_DEGRADED_LIMIT,
            recovery: Recovery::Growing {
                first: DEFAULT_FIRST_RECHECK,
                most: DEFAULT_CHECK_INTERVAL,
            },
        }
    }

    /// Ejects after `limit` `Degraded` outcomes in a row; nought counts as one.
    pub const fn after_degraded(mut self, limit: u32) -> Self {
        self.degraded_limit = if limit == 0 { 1 } else { limit };
        self
    }

    /// A probe is due exactly `interval` after each ejection and each failed probe; at least 1 ms.
    pub const fn recover_in(mut self, interval: Duration) -> Self {
        self.recovery = Recovery::Fixed(interval);
        self
    }

    /// The first probe is due `first` after the ejection; after each probe that fails the interval
    /// doubles, up to `most`. Each is strayed by up to a tenth, and at least 1 ms.
    pub const fn recover_growing(mut self, first: Duration, most: Duration) -> Self {
        self.recovery = Recovery::Growing { first, most };
        self
    }

    pub(crate) fn degraded_limit(&self) -> u32 {
        self.degraded_limit
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
