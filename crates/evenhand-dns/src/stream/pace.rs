//! When a source is looked up again.

use std::time::Duration;

/// No lookup follows the one before sooner, whatever is set.
pub(crate) const SHORTEST: Duration = Duration::from_millis(50);

/// No pause is longer: a year, so that a due time never overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// By which share of itself a pause is longer at most, so that clients that started together do not look up
/// together.
const JITTER: f64 = 0.1;

/// The bounds of the pauses between lookups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    /// The longest pause while lookups fail.
    pub(crate) max_retry: Duration,
}

impl Bounds {
    /// Where one contradicts another, the shortest pause holds.
    pub(crate) fn valid(self) -> Self {
        let min = self.min.clamp(SHORTEST, LONGEST);
        Self {
            min,
            max: self.max.clamp(min, LONGEST),
            max_retry: self.max_retry.clamp(min, LONGEST),
        }
    }
}

/// The pauses of one source.
#[derive(Debug)]
pub(crate) struct Pace {
    bounds: Bounds,
    /// The next pause after a failure.
    retry: Duration,
}

impl Pace {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let bounds = bounds.valid();
        Self {
            bounds,
            retry: bounds.min,
        }
    }

    /// The pause after an answer that is valid for this long.
    pub(crate) fn after_answer(&mut self, valid_for: Duration) -> Duration {
        self.retry = self.bounds.min;
        jittered(valid_for.clamp(self.bounds.min, self.bounds.max))
    }

    /// The pause after a lookup that failed. It doubles with each further one.
    pub(crate) fn after_failure(&mut self) -> Duration {
        let pause = self.retry;
        self.retry = (2 * pause).min(self.bounds.max_retry);
        jittered(pause)
    }

    /// The pause after an answer of which a part is missing.
    pub(crate) fn after_part(&mut self, valid_for: Duration) -> Duration {
        let valid = jittered(valid_for.clamp(self.bounds.min, self.bounds.max));
        self.after_failure().min(valid)
    }

    /// How long after a lookup the next one may begin, if something asks for it.
    pub(crate) fn at_least(&self) -> Duration {
        self.bounds.min
    }
}

/// Never shorter: sooner than the TTL, a name server's cache would give the old answer again.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(1.0..=1.0 + JITTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace::new(Bounds {
            min: SECOND,
            max: 300 * SECOND,
            max_retry: 30 * SECOND,
        })
    }

    fn assert_about(pause: Duration, expected: Duration) {
        let bounds = expected..=expected.mul_f64(1.1);
        assert!(bounds.contains(&pause), "{pause:?} is not in {bounds:?}");
    }

    #[test]
    fn ttl_is_respected_between_its_bounds() {
        for (ttl, expected) in [(0, 1), (1, 1), (30, 30), (300, 300), (86_400, 300)] {
            for _ in 0..50 {
                let pause = pace().after_answer(ttl * SECOND);
                assert_about(pause, expected * SECOND);
            }
        }
        assert_about(pace().after_answer(Duration::MAX), 300 * SECOND);
    }

    #[test]
    fn pauses_vary_and_are_never_shorter_than_the_ttl() {
        let drawn: Vec<_> = (0..1000)
            .map(|_| pace().after_answer(100 * SECOND))
            .collect();
        let (first, last) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*first >= 100 * SECOND && *last <= 110 * SECOND);
        assert!(*last - *first > 5 * SECOND, "{first:?} to {last:?}");
    }

    #[test]
    fn pauses_grow_while_lookups_fail_and_start_anew_after_an_answer() {
        let mut pace = pace();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            assert_about(pace.after_failure(), expected * SECOND);
        }
        pace.after_answer(SECOND);
        assert_about(pace.after_failure(), SECOND);
    }

    #[test]
    fn missing_part_is_looked_up_again_before_the_ttl_is_over() {
        let mut pace = pace();
        assert_about(pace.after_part(300 * SECOND), SECOND);
        assert_about(pace.after_part(300 * SECOND), 2 * SECOND);
        let mut pace = self::pace();
        pace.retry = 30 * SECOND;
        assert_about(pace.after_part(5 * SECOND), 5 * SECOND);
    }

    #[test]
    fn bounds_that_contradict_each_other_leave_a_pause() {
        let bounds = Bounds {
            min: Duration::ZERO,
            max: Duration::ZERO,
            max_retry: Duration::ZERO,
        };
        let mut pace = Pace::new(bounds);
        assert!(pace.after_answer(Duration::ZERO) >= SHORTEST);
        assert!(pace.after_failure() >= SHORTEST && pace.at_least() >= SHORTEST);
    }
}
