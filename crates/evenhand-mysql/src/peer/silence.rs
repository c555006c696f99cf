//! Detects peers that have fallen silent, so that a statement that waits for a lost peer ends before
//! the kernel gives up the connection.
//!
//! Only silence counts: a check that ran out of time, or a host that the network cannot reach. A peer
//! that refuses or resets logins has a host that answers, and that host would have reset connections
//! that it no longer knows. A proxy that is being drained, say, refuses new connections and serves the
//! existing ones. So no statement ends because its peer is full, draining or ejected manually.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// The number of consecutive silent checks after which a peer is lost.
const LOST_AFTER: u32 = 2;

#[derive(Debug, Default)]
pub(crate) struct SilenceDetector {
    checks: Mutex<Checks>,
    lost: Notify,
}

#[derive(Debug, Default)]
struct Checks {
    /// The number of consecutive silent checks.
    silent: u32,
    /// When the latest one ended.
    ended: Option<Instant>,
}

impl SilenceDetector {
    /// Records a check that has just ended. `heard_since` tells whether the peer has answered anything
    /// since a moment.
    pub(crate) fn record(
        &self,
        began: Instant,
        silent: bool,
        heard_since: impl Fn(Instant) -> bool,
    ) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent || heard_since(began) {
            *checks = Checks::default();
            return;
        }
        match checks.ended {
            // It overlapped another one: both met the same silence.
            Some(ended) if began < ended => return,
            Some(ended) if heard_since(ended) => checks.silent = 1,
            _ => checks.silent += 1,
        }
        checks.ended = Some(Instant::now());
        if checks.silent >= LOST_AFTER {
            self.lost.notify_waiters();
        }
    }

    /// Resolves when a check, from now on, finds the peer lost. Cancel-safe.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
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
        let mut lost = pin!(detector.lost.notified());
        lost.as_mut().enable();
        let began = Instant::now();
        tokio::time::advance(SECOND).await;
        detector.record(began, silent, |since| heard.is_some_and(|at| at > since));
        resolved(lost)
    }

    fn resolved<F: Future>(future: Pin<&mut F>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        future.poll(&mut cx).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn two_consecutive_silent_checks_find_the_peer_lost() {
        let detector = SilenceDetector::default();
        assert!(!check(&detector, true, None).await);
        assert!(check(&detector, true, None).await);
        assert!(check(&detector, true, None).await);
        assert!(!check(&detector, false, None).await);
        assert!(!check(&detector, true, None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_between_two_checks_starts_the_count_again() {
        let detector = SilenceDetector::default();
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
        let detector = SilenceDetector::default();
        let began = Instant::now();
        tokio::time::advance(SECOND).await;
        detector.record(began, true, |_| false);
        let mut lost = pin!(detector.lost.notified());
        lost.as_mut().enable();
        detector.record(began, true, |_| false);
        assert!(!resolved(lost));
    }
}
