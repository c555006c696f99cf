//! Intervals between probes and checks: their bounds, and their jitter.

use std::time::Duration;

use crate::rng::Rng;

/// No interval is shorter, so that a peer that fails at once is not probed without pause.
const SHORTEST: Duration = Duration::from_millis(1);

/// No interval is longer: a year, so that a due time never overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The share by which jitter lengthens or shortens an interval, so that clients do not probe in
/// step.
const JITTER: f64 = 0.1;

/// `interval`, raised to 1 ms or cut to a year.
pub(crate) fn within_bounds(interval: Duration) -> Duration {
    interval.clamp(SHORTEST, LONGEST)
}

/// `interval` within its bounds, with ±10 % jitter.
pub(crate) fn with_jitter(interval: Duration, rng: &Rng) -> Duration {
    let factor = 1.0 + JITTER * (2.0 * rng.unit() - 1.0);
    within_bounds(within_bounds(interval).mul_f64(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_at_most_a_tenth() {
        let rng = Rng::seeded(3);
        let second = Duration::from_secs(1);
        let drawn: Vec<_> = (0..1000).map(|_| with_jitter(second, &rng)).collect();
        let bounds = second.mul_f64(0.9)..=second.mul_f64(1.1);
        assert!(drawn.iter().all(|drawn| bounds.contains(drawn)));
        assert!(drawn.iter().any(|other| other != &drawn[0]), "no jitter");
    }

    #[test]
    fn interval_is_never_zero_and_never_overflows() {
        let rng = Rng::seeded(1);
        assert!(with_jitter(Duration::ZERO, &rng) >= SHORTEST);
        assert!(with_jitter(Duration::MAX, &rng) <= LONGEST);
    }
}
