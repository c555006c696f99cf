//! The source of the balancer's randomness.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng};

/// A generator that many tasks share.
#[derive(Debug)]
pub(crate) enum Rng {
    /// One small generator a thread: no sharing, so no contention.
    PerThread,
    /// One generator in all: the same seed gives the same draws in the same order. For tests.
    Seeded(Mutex<SmallRng>),
}

thread_local! {
    static PER_THREAD: RefCell<SmallRng> = RefCell::new(SmallRng::seed_from_u64(system_seed()));
}

/// The keys of the standard library's hasher are the system's randomness.
fn system_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Rng {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Mutex::new(SmallRng::seed_from_u64(seed)))
    }

    #[inline]
    fn next(&self) -> u64 {
        match self {
            Self::PerThread => PER_THREAD.with_borrow_mut(SmallRng::next_u64),
            Self::Seeded(rng) => {
                let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
                rng.next_u64()
            }
        }
    }

    /// A uniform draw from `0..n`; 0 if `n` is 0.
    ///
    /// Multiply and shift (Lemire: "Fast random integer generation in an interval", 2019) without
    /// the rejection step: for `n` below 2^32 the bias is below 2^-32. `rand`'s own draw rejects,
    /// which costs the hot path a loop.
    #[inline]
    pub(crate) fn random_index(&self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// A uniform draw from `[0, 1)`.
    pub(crate) fn unit(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The numbers below `n`, in an order that makes each about as likely to come first: from a random
    /// one on, in steps of random length.
    pub(crate) fn shuffled(&self, n: usize) -> impl Iterator<Item = usize> + use<> {
        let start = if n > 1 { self.random_index(n) } else { 0 };
        let mut step = if n > 2 {
            1 + self.random_index(n - 1)
        } else {
            1
        };
        while gcd(step, n) > 1 {
            step -= 1;
        }
        (0..n).scan(start, move |at, _| {
            let place = *at;
            *at = (place + step) % n;
            Some(place)
        })
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn same_seed_gives_the_same_draws() {
        let draw = |seed| {
            let rng = Rng::seeded(seed);
            (0..50).map(|_| rng.random_index(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn draws_stay_in_range() {
        for rng in [Rng::PerThread, Rng::seeded(1)] {
            for n in [1, 2, 3, 1000] {
                assert!((0..1000).all(|_| rng.random_index(n) < n));
            }
            assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.unit())));
        }
    }

    #[test]
    fn indexes_are_shuffled_without_loss() {
        let rng = Rng::seeded(1);
        for n in [0, 1, 2, 3, 12, 97, 100] {
            let places: Vec<usize> = (0..n).collect();
            let mut firsts = HashSet::new();
            for _ in 0..50 * n + 1 {
                let mut order: Vec<usize> = rng.shuffled(n).collect();
                firsts.extend(order.first().copied());
                order.sort_unstable();
                assert_eq!(order, places);
            }
            assert_eq!(firsts.len(), n, "each of {n} comes first");
        }
    }
}
