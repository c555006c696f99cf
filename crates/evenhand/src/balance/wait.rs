//! A request's wait for a peer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::interval::LONGEST;
use crate::rng::Rng;
use crate::set::registry::Registry;

/// A request that waits goes round again after a pause of its own, which doubles from the first to
/// the longest: peers that were asked may have room by then.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A wait until a peer may be available, or the deadline. A place in the set's queue of waiting
/// requests, which the request keeps until it ends.
pub(crate) struct Wait {
    registry: Arc<Registry>,
    available: Pin<Box<OwnedNotified>>,
    /// Rings at the deadline, or before it when a peer is due or the pause is over.
    timer: Pin<Box<Sleep>>,
    deadline: Instant,
    /// When it began to wait this time.
    since: Instant,
    pause: Duration,
    /// How many more peers the request asks before it waits again.
    asks: usize,
}

impl Wait {
    /// A wait for at most `patience`, and not after the request's own deadline.
    pub(crate) fn new(
        registry: &Arc<Registry>,
        patience: Duration,
        request_ends: Option<Instant>,
    ) -> Self {
        registry.add_waiter();
        let since = Instant::now();
        let deadline = since + patience.min(LONGEST);
        let deadline = request_ends.map_or(deadline, |ends| ends.min(deadline));
        Self {
            available: listen(registry).0,
            registry: registry.clone(),
            timer: Box::pin(sleep_until(deadline)),
            deadline,
            since,
            pause: FIRST_PAUSE,
            asks: 0,
        }
    }

    /// Misses nothing that becomes available from now on. Says whether something did before.
    pub(crate) fn listen(&mut self) -> bool {
        let (available, was_called) = listen(&self.registry);
        self.available = available;
        was_called
    }

    /// Sets when the request looks again: when a peer is due, or after its pause, but not after the
    /// deadline.
    pub(crate) fn set_timer(&mut self, due: Option<Instant>, rng: &Rng) {
        let now = Instant::now();
        self.since = now;
        // Between half and the whole of it, so that requests do not look in step.
        let pause = self.pause.mul_f64(1.0 - rng.unit() / 2.0);
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        // A peer that is due and was not claimed is another request's.
        let due = due.filter(|due| *due > now).unwrap_or(self.deadline);
        let ring = due.min(now + pause).min(self.deadline);
        self.timer.as_mut().reset(ring);
    }

    /// Whether the request may ask another peer before it waits again; counts that one.
    pub(crate) fn may_ask(&mut self) -> bool {
        let may = self.asks > 0;
        self.asks = self.asks.saturating_sub(1);
        may
    }

    /// An attempt that began in time has ended. If that was too late, the request asks no other peer.
    pub(crate) fn note_attempt(&mut self) {
        if self.is_over() {
            self.asks = 0;
        }
    }

    /// Since when it waits, this time.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn is_over(&self) -> bool {
        self.deadline <= Instant::now()
    }

    /// Waits until a peer may be available. Returns false if the deadline came first.
    ///
    /// Together the requests that wait ask each peer about once in a pause, however many they are: a
    /// peer that has no room is not asked by each of a thousand.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.available.as_mut().poll(cx).is_pending() {
            ready!(self.timer.as_mut().poll(cx));
            // A peer that was due before the deadline is tried, however late the timer rings.
            if self.timer.deadline() >= self.deadline {
                return Poll::Ready(false);
            }
        }
        self.asks = self.registry.share_of_peers();
        Poll::Ready(true)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.registry.remove_waiter();
    }
}

/// A listener that misses nothing from now on, even before its first poll; and whether the queue
/// held a call for the next request.
fn listen(registry: &Registry) -> (Pin<Box<OwnedNotified>>, bool) {
    let mut was_called = false;
    loop {
        let mut notified = Box::pin(registry.available.clone().notified_owned());
        if !notified.as_mut().enable() {
            return (notified, was_called);
        }
        was_called = true;
    }
}
