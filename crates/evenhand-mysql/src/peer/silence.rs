//! Detects peers that have fallen silent, so that a statement that waits for a lost peer ends before
//! the kernel gives up the connection.
//!
//! Only silence counts: a check that ran out of time, or a host that the network cannot reach. A peer
//! that refuses or resets logins has a host that answers, and that host would have reset connections
//! that it no longer knows. A proxy that is being drained, say, refuses new connections and serves the
//! existing ones. So no statement ends because its peer is full, draining or ejected manually.
//!
//! Nor does one end because its peer has moved to a server that is silent: see
//! [`DriverPool::stay`](super::driver_pool::DriverPool::stay).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct SilenceDetector {
    /// The number of consecutive silent checks after which the peer is lost.
    lost_after: u32,
    checks: Mutex<Checks>,
    /// In the lower half how often the peer was lost, in the upper one the stay of the latest time.
    losses: AtomicU64,
    /// Wakes those that wait for the peer: it is to be checked, or it is lost.
    changed: Notify,
}

/// What a check says of a peer's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The peer has answered something, or an overlapping check has said it.
    None,
    Suspected,
    Lost,
}

#[derive(Debug, Default)]
struct Checks {
    /// The number of consecutive silent checks.
    silent: u32,
    /// When the latest one ended.
    ended: Option<Instant>,
    /// The stay of these.
    stay: u32,
}

impl SilenceDetector {
    pub(crate) fn new(lost_after: u32) -> Self {
        Self {
            lost_after,
            checks: Mutex::default(),
            losses: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    /// Records a check of this stay that has just ended. `heard_since` tells whether the peer has answered anything
    /// since a moment.
    pub(crate) fn record(
        &self,
        stay: u32,
        began: Instant,
        silent: bool,
        heard_since: impl Fn(Instant) -> bool,
    ) -> Silence {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent || heard_since(began) || checks.stay != stay {
            *checks = Checks {
                stay,
                ..Checks::default()
            };
        }
        if !silent || heard_since(began) {
            return Silence::None;
        }
        match checks.ended {
            // It overlapped another one: both met the same silence.
            Some(ended) if began < ended => return Silence::None,
            Some(ended) if heard_since(ended) => checks.silent = 1,
            _ => checks.silent += 1,
        }
        checks.ended = Some(Instant::now());
        if checks.silent < self.lost_after {
            return Silence::Suspected;
        }
        // Only changed under the lock.
        let times = self.losses.load(Ordering::Relaxed) as u32;
        let losses = u64::from(stay) << 32 | u64::from(times.wrapping_add(1));
        self.losses.store(losses, Ordering::Release);
        drop(checks);
        self.changed.notify_waiters();
        Silence::Lost
    }

    /// Lets those that wait for the peer check it.
    pub(crate) fn suspect(&self) {
        self.changed.notify_waiters();
    }

    /// Resolves when a check, from now on, finds the peer lost in this stay. Until then, calls `check` whenever the
    /// peer is to be checked. Cancel-safe.
    pub(crate) async fn lost(&self, stay: u32, check: impl Fn()) {
        let before = self.losses.load(Ordering::Acquire);
        loop {
            // Made before the count is read, so that it misses no loss.
            let changed = self.changed.notified();
            let now = self.losses.load(Ordering::Acquire);
            if now != before && now >> 32 == u64::from(stay) {
                return;
            }
            changed.await;
            if self.losses.load(Ordering::Acquire) == before {
                check();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether a check that takes a second finds the peer lost.
    async fn check(detector: &SilenceDetector, silent: bool, heard: Option<Instant>) -> bool {
        let mut lost = pin!(detector.lost(0, || {}));
        assert!(!resolved(lost.as_mut()));
        let began = Instant::now();
        tokio::time::advance(SECOND).await;
        let found = detector.record(0, began, silent, |since| heard.is_some_and(|at| at > since));
        assert_eq!(found == Silence::Lost, resolved(lost.as_mut()));
        found == Silence::Lost
    }

    fn resolved<F: Future>(future: Pin<&mut F>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        future.poll(&mut cx).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn two_consecutive_silent_checks_find_the_peer_lost() {
        let detector = SilenceDetector::new(2);
        assert!(!check(&detector, true, None).await);
        assert!(check(&detector, true, None).await);
        assert!(check(&detector, true, None).await);
        assert!(!check(&detector, false, None).await);
        assert!(!check(&detector, true, None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_between_two_checks_starts_the_count_again() {
        let detector = SilenceDetector::new(2);
        assert!(!check(&detector, true, None).await);
        tokio::time::advance(SECOND).await;
        let heard = Instant::now();
        tokio::time::advance(SECOND).await;
        assert!(!check(&detector, true, Some(heard)).await);
        let during = Instant::now() + SECOND / 2;
        assert!(!check(&detector, true, Some(during)).await);
        assert!(!check(&detector, true, None).await);
        assert!(check(&detector, true, None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn overlapping_checks_count_once() {
        let detector = SilenceDetector::new(2);
        let began = Instant::now();
        tokio::time::advance(SECOND).await;
        detector.record(0, began, true, |_| false);
        let found = detector.record(0, began, true, |_| false);
        assert_eq!(found, Silence::None);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_check_a_suspect_once_each() {
        let detector = SilenceDetector::new(1);
        let checks = std::cell::Cell::new(0);
        let check = || checks.set(checks.get() + 1);
        let mut first = pin!(detector.lost(0, check));
        let mut second = pin!(detector.lost(0, check));
        assert!(!resolved(first.as_mut()));
        detector.suspect();
        assert!(!resolved(first.as_mut()) && !resolved(second.as_mut()));
        assert_eq!(checks.get(), 1);
        detector.record(0, Instant::now(), true, |_| false);
        assert!(resolved(first) && resolved(second));
        assert_eq!(checks.get(), 1);
    }

    /// A loss of the server that the peer has moved to is none of those that wait for the one before, and what
    /// both did not answer is not added up.
    #[tokio::test(start_paused = true)]
    async fn each_stay_is_lost_for_itself() {
        let detector = SilenceDetector::new(2);
        let mut before = pin!(detector.lost(0, || {}));
        let mut after = pin!(detector.lost(1, || {}));
        assert!(!resolved(before.as_mut()) && !resolved(after.as_mut()));
        let mut silent = Vec::new();
        for stay in [0, 1, 1] {
            let began = Instant::now();
            tokio::time::advance(SECOND).await;
            silent.push(detector.record(stay, began, true, |_| false));
        }
        assert_eq!(
            silent,
            [Silence::Suspected, Silence::Suspected, Silence::Lost]
        );
        assert!(!resolved(before.as_mut()));
        assert!(resolved(after));
    }
}
