//! Random variation of times, so that clients and connections do not act in step.

use std::time::Duration;

/// A random time between 50 % and 150 % of `time`.
pub(crate) fn jittered(time: Duration) -> Duration {
    time.mul_f64(rand::random_range(0.5..=1.5))
}

/// A random time between half and the whole of `time`.
pub(crate) fn half_to_whole(time: Duration) -> Duration {
    time.mul_f64(rand::random_range(0.5..=1.0))
}
