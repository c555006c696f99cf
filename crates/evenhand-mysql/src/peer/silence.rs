//! Whether a peer is silent, as its checks find it: so that a statement that waits on a lost peer
//! ends, and does not wait for the kernel to give the connection up.
//!
//! Only silence counts: a check that ran out of time, or a host that the network cannot reach. A
//! peer that refuses logins, or resets them, has a host that answers, and would have closed the
//! connections that it no longer knows: proxies that are being drained refuse new ones and serve
//! those that are held. So no statement ends because its peer is full, drained or out by hand.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// So many silent checks in a row mean that the peer is lost.
const IN_A_ROW: u32 = 2;

#[derive(Debug, Default)]
pub(crate) struct Silence {
    checks: Mutex<Checks>,
    found: Notify,
}

#[derive(Debug, Default)]
struct Checks {
    /// How many in a row were silent.
    silent: u32,
    /// When the latest of them ended.
    ended: Option<Instant>,
}

impl Silence {
    /// A check that began then has ended. `heard_since` tells whether the peer has answered
    /// anything since a moment.
    pub(crate) fn note(&self, began: Instant, silent: bool, heard_since: impl Fn(Instant) -> bool) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent || heard_since(began) {
            *checks = Checks::default();
            return;
        }
        match checks.ended {
            // Beside another one: both met the same moment of silence.
            Some(ended) if began < ended => return,
            Some(ended) if heard_since(ended) => checks.silent = 1,
            _ => checks.silent += 1,
        }
        checks.ended = Some(Instant::now());
        if checks.silent >= IN_A_ROW {
            self.found.notify_waiters();
        }
    }

    /// Resolves when a check finds the peer lost from now on. Cancel-safe.
    pub(crate) async fn found(&self) {
        self.found.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether a check that takes a second finds it lost.
    async fn check(silence: &Silence, silent: bool, heard: Option<Instant>) -> bool {
        let mut found = pin!(silence.found.notified());
        found.as_mut().enable();
        let began = Instant::now();
        tokio::time::advance(SECOND).await;
        silence.note(began, silent, |since| heard.is_some_and(|at| at > since));
        resolved(found)
    }

    fn resolved<F: Future>(future: Pin<&mut F>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        future.poll(&mut cx).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn two_silent_checks_in_a_row_find_it_lost_and_so_does_each_that_follows() {
        let silence = Silence::default();
        assert!(!check(&silence, true, None).await);
        assert!(check(&silence, true, None).await);
        assert!(check(&silence, true, None).await);
        assert!(!check(&silence, false, None).await);
        assert!(!check(&silence, true, None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_between_breaks_the_row() {
        let silence = Silence::default();
        assert!(!check(&silence, true, None).await);
        tokio::time::advance(SECOND).await;
        let heard = Instant::now();
        tokio::time::advance(SECOND).await;
        assert!(!check(&silence, true, Some(heard)).await);
        let during = Instant::now() + SECOND / 2;
        assert!(!check(&silence, true, Some(during)).await);
        assert!(!check(&silence, true, None).await);
        assert!(check(&silence, true, None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn two_at_the_same_time_count_as_one() {
        let silence = Silence::default();
        let began = Instant::now();
        tokio::time::advance(SECOND).await;
        silence.note(began, true, |_| false);
        let mut found = pin!(silence.found.notified());
        found.as_mut().enable();
        silence.note(began, true, |_| false);
        assert!(!resolved(found));
    }
}
