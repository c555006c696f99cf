//! Where the balancer's randomness comes from.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A generator that many tasks share without a lock: wyrand (Wang Yi, Diego Barrios Romero: "Modern
/// non-cryptographic hash function and pseudorandom number generator", 2020), a counter whose
/// values are mixed by one multiplication.
#[derive(Debug)]
pub(crate) enum Random {
    /// One counter a thread, started by the system's randomness: no sharing, so no contention.
    PerThread,
    /// One counter in all: the same seed gives the same draws in the same order.
    Seeded(AtomicU64),
}

thread_local! {
    // Nought until it is started.
    static COUNTER: Cell<u64> = const { Cell::new(0) };
}

const STEP: u64 = 0x2d35_8dcc_aa6c_78a5;

#[inline]
fn mix(counter: u64) -> u64 {
    let product = u128::from(counter) * u128::from(counter ^ 0x8bb8_4b93_962e_acc9);
    (product >> 64) as u64 ^ product as u64
}

/// The standard library's hasher keys are the system's randomness, got without a panic path.
#[cold]
fn start() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(AtomicU64::new(seed))
    }

    #[inline]
    fn next(&self) -> u64 {
        match self {
            Self::PerThread => COUNTER.with(|counter| {
                let now = match counter.get() {
                    0 => start(),
                    now => now,
                };
                let now = now.wrapping_add(STEP);
                counter.set(now);
                mix(now)
            }),
            Self::Seeded(counter) => {
                let before = counter.fetch_add(STEP, Ordering::Relaxed);
                mix(before.wrapping_add(STEP))
            }
        }
    }

    /// A uniform draw from `0..n`; nought if `n` is nought.
    ///
    /// Multiply and shift (Lemire: "Fast random integer generation in an interval", 2019) without
    /// its rejection step: for `n` below 2^32 the bias is below 2^-32.
    #[inline]
    pub(crate) fn below(&self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// A uniform draw from `[0, 1)`.
    pub(crate) fn unit(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_draws() {
        let draw = |seed| {
            let random = Random::seeded(seed);
            (0..50).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn draws_stay_in_range() {
        for random in [Random::PerThread, Random::seeded(1)] {
            for n in [1, 2, 3, 1000] {
                assert!((0..1000).all(|_| random.below(n) < n));
            }
            assert!(
                (0..1000)
                    .map(|_| random.unit())
                    .all(|u| (0.0..1.0).contains(&u))
            );
        }
    }
}
