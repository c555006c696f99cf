//! Where the balancer's randomness comes from.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A generator that many tasks share without a lock.
#[derive(Debug)]
pub(crate) enum Random {
    /// One generator a thread, seeded by the system: no sharing, so no contention.
    PerThread,
    /// SplitMix64 over a shared counter (Steele, Lea, Flood: "Fast splittable pseudorandom number
    /// generators", OOPSLA 2014): the same seed gives the same draws in the same order.
    Seeded(AtomicU64),
}

thread_local! {
    // The standard library's hasher keys are the system's randomness, got without a panic path.
    static GENERATOR: RefCell<SmallRng> =
        RefCell::new(SmallRng::seed_from_u64(RandomState::new().build_hasher().finish()));
}

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        match self {
            Self::PerThread => GENERATOR.with_borrow_mut(Rng::next_u64),
            Self::Seeded(counter) => {
                const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
                let mut z = counter
                    .fetch_add(STEP, Ordering::Relaxed)
                    .wrapping_add(STEP);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
        }
    }

    /// A uniform draw from `0..n`; nought if `n` is nought.
    ///
    /// Multiply and shift (Lemire: "Fast random integer generation in an interval", 2019) without
    /// its rejection step: for `n` below 2^32 the bias is below 2^-32.
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
