//! Failure accrual: when failures of a peer that are harmless one by one add up to an ejection.
//!
//! The term is Finagle's. Consecutive failures are counted in the peer's health word and cost the
//! healthy path one load. This is for policies that need more: a record for each peer, asked at
//! every outcome.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::classify::Verdict;

/// The record of one peer's outcomes under a custom ejection policy: see [`Eject::accrual`].
///
/// The methods run on callers' tasks at every outcome, concurrently, and must not block.
///
/// The record is kept with the peer, so balancers that share [`Peers`] should share the policy. A
/// peer that was out starts with a fresh one. Outcomes that are older than the peer's latest change
/// of state reach neither.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use evenhand::{Accrual, Eject, Verdict};
///
/// /// Ejects at every third failure, whatever comes between.
/// #[derive(Default)]
/// struct EveryThird(AtomicU32);
///
/// impl Accrual for EveryThird {
///     fn healthy(&self) {}
///     fn failed(&self, _: &Verdict) -> bool {
///         self.0.fetch_add(1, Ordering::Relaxed) % 3 == 2
///     }
/// }
///
/// let eject = Eject::accrual(|| Box::new(EveryThird::default()));
/// ```
///
/// [`Eject::accrual`]: crate::Eject::accrual
/// [`Peers`]: crate::Peers
pub trait Accrual: Send + Sync + 'static {
    /// A `Healthy` outcome.
    fn healthy(&self);

    /// The peer failed: a `Degraded` or `Down` outcome. Returns whether to eject the peer.
    fn failed(&self, verdict: &Verdict) -> bool;
}

/// The number of parts of the window of a failure rate.
const PARTS: u32 = 10;

/// Ejects when the share of failures within a sliding window reaches a limit.
///
/// The window is a ring of ten parts: outcomes leave it a tenth at a time.
pub(crate) struct FailureRate {
    limit: f64,
    part: Duration,
    min_outcomes: u32,
    ring: Mutex<Ring>,
}

struct Ring {
    start: Instant,
    /// The number of the current part, counted from the start.
    now: u64,
    healthy: [u32; PARTS as usize],
    failed: [u32; PARTS as usize],
}

impl Ring {
    /// Empties the parts that have left the window, and gives the current one.
    fn turn(&mut self, part: Duration) -> usize {
        let now = (self.start.elapsed().as_nanos() / part.as_nanos().max(1)) as u64;
        let passed = (now - self.now).min(u64::from(PARTS));
        for step in 0..passed {
            let slot = ((now - step) % u64::from(PARTS)) as usize;
            self.healthy[slot] = 0;
            self.failed[slot] = 0;
        }
        self.now = now;
        (now % u64::from(PARTS)) as usize
    }
}

impl FailureRate {
    pub(crate) fn new(limit: f64, window: Duration, min_outcomes: u32) -> Self {
        let part = (window / PARTS).max(Duration::from_millis(1));
        Self {
            // NaN gives 1. Less than 0 is the same as 0.
            limit: limit.min(1.0),
            part,
            min_outcomes,
            ring: Mutex::new(Ring {
                start: Instant::now(),
                now: 0,
                healthy: [0; PARTS as usize],
                failed: [0; PARTS as usize],
            }),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Ring, usize) -> T) -> T {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = ring.turn(self.part);
        act(&mut ring, slot)
    }
}

impl Accrual for FailureRate {
    fn healthy(&self) {
        self.with(|ring, slot| ring.healthy[slot] = ring.healthy[slot].saturating_add(1));
    }

    fn failed(&self, _: &Verdict) -> bool {
        self.with(|ring, slot| {
            ring.failed[slot] = ring.failed[slot].saturating_add(1);
            let sum = |parts: &[u32]| parts.iter().map(|&n| u64::from(n)).sum::<u64>();
            let (failed, healthy) = (sum(&ring.failed), sum(&ring.healthy));
            let all = failed + healthy;
            all >= u64::from(self.min_outcomes) && failed as f64 >= self.limit * all as f64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const WINDOW: Duration = Duration::from_secs(10);

    fn fail(rate: &FailureRate) -> bool {
        rate.failed(&Verdict::degraded())
    }

    #[tokio::test(start_paused = true)]
    async fn rate_needs_enough_samples() {
        let rate = FailureRate::new(0.5, WINDOW, 4);
        assert_eq!(
            [fail(&rate), fail(&rate), fail(&rate), fail(&rate)],
            [false, false, false, true]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rate_ejects_at_its_threshold_and_not_below() {
        let rate = FailureRate::new(0.5, WINDOW, 4);
        for _ in 0..4 {
            rate.healthy();
        }
        assert_eq!(
            [fail(&rate), fail(&rate), fail(&rate), fail(&rate)],
            [false, false, false, true]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_older_than_the_window_do_not_count() {
        let rate = FailureRate::new(0.5, WINDOW, 2);
        for _ in 0..100 {
            rate.healthy();
        }
        advance(WINDOW / 2).await;
        assert!(!fail(&rate));
        advance(WINDOW / 2 + WINDOW / 10).await;
        assert!(
            fail(&rate),
            "the hundred good ones are gone, the failure half a window ago is not"
        );
        advance(100 * WINDOW).await;
        assert!(!fail(&rate), "alone after a long time");
    }
}
