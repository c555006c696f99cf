//! Times that stray by chance, so that clients do not act together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A time between a half and one and a half of this.
pub(crate) fn about(time: Duration) -> Duration {
    // The standard library's hasher keys are the system's randomness.
    let drawn = RandomState::new().build_hasher().finish() >> 32;
    time.mul_f64(0.5 + drawn as f64 / f64::from(u32::MAX))
}
