//! When a peer was last heard, since when it has not been, and how long its logins take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Times are in milliseconds since `start`.
#[derive(Debug)]
pub(crate) struct Traffic {
    start: Instant,
    /// When the peer last answered anything; 0 if it never did.
    heard: AtomicU64,
    /// When the first operation since then began that waits for the peer; 0 if none did.
    unanswered: AtomicU64,
    /// When a statement on the pool itself last ended.
    direct_ended: AtomicU64,
    /// How long the slowest of the latest logins took; 0 if there was none.
    slowest_login: AtomicU64,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            heard: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            direct_ended: AtomicU64::new(0),
            slowest_login: AtomicU64::new(0),
        }
    }

    fn number(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.start).as_millis() as u64
    }

    fn moment(&self, number: u64) -> Instant {
        self.start + Duration::from_millis(number)
    }

    /// The peer has answered something.
    pub(crate) fn note_heard(&self) {
        self.heard
            .store(self.number(Instant::now()), Ordering::Relaxed);
        self.unanswered.store(0, Ordering::Relaxed);
    }

    pub(crate) fn heard(&self) -> Instant {
        self.moment(self.heard.load(Ordering::Relaxed))
    }

    /// Whether the peer has answered something since.
    pub(crate) fn was_heard_since(&self, moment: Instant) -> bool {
        self.heard.load(Ordering::Relaxed) > self.number(moment)
    }

    pub(crate) fn was_heard_within(&self, time: Duration) -> bool {
        Instant::now()
            .checked_sub(time)
            .is_some_and(|since| self.was_heard_since(since))
    }

    /// An operation began to wait for the peer.
    pub(crate) fn note_begun(&self, began: Instant) {
        if self.unanswered.load(Ordering::Relaxed) == 0 {
            let began = self.number(began).max(1);
            self.unanswered.store(began, Ordering::Relaxed);
        }
    }

    /// When the first operation began since the peer was heard, or since the last
    /// [`forget_begun`](Self::forget_begun).
    pub(crate) fn unanswered(&self) -> Option<Instant> {
        let began = self.unanswered.load(Ordering::Relaxed);
        (began > 0).then(|| self.moment(began))
    }

    pub(crate) fn forget_begun(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
    }

    /// The connection of a statement on the pool itself is on its way back.
    pub(crate) fn note_direct_ended(&self) {
        self.direct_ended
            .store(self.number(Instant::now()), Ordering::Relaxed);
    }

    pub(crate) fn had_direct_within(&self, time: Duration) -> bool {
        let last = Duration::from_millis(self.direct_ended.load(Ordering::Relaxed));
        self.start.elapsed() < last.saturating_add(time)
    }

    /// A login that the peer accepted took so long.
    pub(crate) fn note_login(&self, took: Duration) {
        let before = self.slowest_login.load(Ordering::Relaxed);
        // One that was slow counts less with each that follows.
        let slowest = (took.as_millis() as u64).max(before - before / 8).max(1);
        self.slowest_login.store(slowest, Ordering::Relaxed);
    }

    /// How long the slowest of the latest logins took, if there was one.
    pub(crate) fn slowest_login(&self) -> Option<Duration> {
        let slowest = self.slowest_login.load(Ordering::Relaxed);
        (slowest > 0).then(|| Duration::from_millis(slowest))
    }
}
