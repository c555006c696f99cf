//! A FIFO semaphore that knows its limit, and how many callers hold and await its permits.
//!
//! The driver's pool has a wait queue that can lose a wake-up when a waiter is dropped. So callers wait
//! here, and that queue is never used.
//!
//! The limit can be learned: a server that refuses a login because it is full has room for the
//! connections that are open, and for no other. Then the limit is their number. While callers wait it
//! grows again by trials, one login at a time, with a pause after each that the server refuses.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::time::jitter::half_to_whole;

/// The first and longest pause before the next trial. Each is jittered.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The permits. A waiter that is dropped leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Permits {
    /// The limit that was set.
    most: usize,
    /// The limit that holds, `most` or less. Written under `trials`.
    limit: AtomicUsize,
    /// How many permits there are, free and held. More than `limit` until callers without a connection
    /// have [given theirs up](Self::give_up). Written under `trials`.
    issued: AtomicUsize,
    semaphore: Arc<Semaphore>,
    waiting: AtomicUsize,
    trials: Mutex<Trials>,
}

/// When the limit that was learned may grow.
#[derive(Debug)]
struct Trials {
    /// The login that decides has not ended.
    open: bool,
    /// When the next may begin; `None` at once.
    next: Option<Instant>,
    /// The pause after the next one that is refused.
    pause: Duration,
}

impl Trials {
    const INITIAL: Self = Self {
        open: false,
        next: None,
        pause: PAUSE.0,
    };

    fn are_due(&self) -> bool {
        self.next.is_none_or(|next| next <= Instant::now())
    }
}

/// One permit, returned on drop.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit(OwnedSemaphorePermit);

/// The semaphore is closed.
#[derive(Debug)]
pub(crate) struct Closed;

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        // More than a semaphore can count is no limit.
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            most: limit,
            limit: AtomicUsize::new(limit),
            issued: AtomicUsize::new(limit),
            semaphore: Arc::new(Semaphore::new(limit)),
            waiting: AtomicUsize::new(0),
            trials: Mutex::new(Trials::INITIAL),
        }
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self) -> Result<Permit, Closed> {
        // Fails while others wait, so it does not overtake them.
        if let Some(permit) = self.try_acquire() {
            return Ok(permit);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let permit = self.semaphore.clone().acquire_owned().await;
        permit.map(Permit).map_err(|_| Closed)
    }

    /// A permit, if one is free and no caller waits for it.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        self.semaphore.clone().try_acquire_owned().ok().map(Permit)
    }

    /// Gives no further permit; waiters get [`Closed`]. Permits that are held stay valid.
    pub(crate) fn close(&self) {
        self.semaphore.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.semaphore.is_closed()
    }

    /// How many permits there may be, as set or as learned. A limit that was learned can be 0.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether the limit was learned.
    pub(crate) fn are_short(&self) -> bool {
        self.limit() < self.most
    }

    /// Whether there are more than the limit, so that a caller without a connection gives its own up.
    pub(crate) fn are_in_excess(&self) -> bool {
        self.issued.load(Ordering::Relaxed) > self.limit()
    }

    pub(crate) fn held(&self) -> usize {
        self.issued
            .load(Ordering::Relaxed)
            .saturating_sub(self.free())
    }

    pub(crate) fn free(&self) -> usize {
        self.semaphore.available_permits()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A login was refused for want of room: the limit is what is open, and the next trial has to wait.
    pub(crate) fn learn_limit(&self, open: usize) {
        let mut trials = self.trials();
        // Those that began before a refusal and are refused after it make no pause longer.
        if trials.open || trials.are_due() {
            trials.open = false;
            trials.next = Some(Instant::now() + half_to_whole(trials.pause));
            trials.pause = PAUSE.1.min(2 * trials.pause);
        }
        let limit = self.limit().min(open);
        self.limit.store(limit, Ordering::Relaxed);
        let excess = self.issued.load(Ordering::Relaxed).saturating_sub(limit);
        let forgotten = self.semaphore.forget_permits(excess);
        self.issued.fetch_sub(forgotten, Ordering::Relaxed);
    }

    /// The limit is the one that was set, as nothing is known of another one any more.
    pub(crate) fn forget_limit(&self) {
        if !self.are_short() {
            return;
        }
        let missing = {
            let mut trials = self.trials();
            *trials = Trials::INITIAL;
            self.limit.store(self.most, Ordering::Relaxed);
            let issued = self.issued.load(Ordering::Relaxed);
            let missing = self.most.saturating_sub(issued);
            self.issued.fetch_add(missing, Ordering::Relaxed);
            missing
        };
        self.semaphore.add_permits(missing);
    }

    /// A login was accepted. If it was a trial, the next one begins, should callers wait.
    pub(crate) fn note_login(&self, open: usize) {
        {
            let mut trials = self.trials();
            if !trials.open {
                return;
            }
            *trials = Trials::INITIAL;
        }
        if self.waiting() > 0 {
            self.begin_trial(|| open);
        }
    }

    /// Whether a trial may begin: the pause is over, and the connections that are open, or being opened,
    /// are as many as may be.
    ///
    /// `open` is not asked while the limit is the one that was set, as most are.
    pub(crate) fn may_begin_trial(&self, open: impl FnOnce() -> usize) -> bool {
        self.are_short() && self.limit() <= open() && self.trials().are_due()
    }

    /// Raises the limit by one if a trial may begin. Called by those who wait, or are about to. `open` as in
    /// [`may_begin_trial`](Self::may_begin_trial).
    pub(crate) fn begin_trial(&self, open: impl FnOnce() -> usize) {
        if !self.are_short() {
            return;
        }
        let open = open();
        {
            let mut trials = self.trials();
            let limit = self.limit();
            if limit == self.most || limit > open || !trials.are_due() {
                return;
            }
            trials.open = true;
            // Should its login take longer than this, another may begin.
            trials.next = Some(Instant::now() + PAUSE.1);
            self.limit.store(limit + 1, Ordering::Relaxed);
            if self.issued.load(Ordering::Relaxed) > limit {
                return;
            }
            self.issued.fetch_add(1, Ordering::Relaxed);
        }
        self.semaphore.add_permits(1);
    }

    /// Returns a permit with which there was no connection to be had. It is withdrawn if there are more
    /// than the limit.
    pub(crate) fn give_up(&self, permit: Permit) {
        let _one_at_a_time = self.trials();
        if self.are_in_excess() {
            self.issued.fetch_sub(1, Ordering::Relaxed);
            permit.0.forget();
        }
    }

    fn trials(&self) -> MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a waiter for as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn permits_are_fifo_and_a_dropped_waiter_takes_none() {
        let permits = Permits::new(1);
        let held = permits.try_acquire().unwrap();
        let mut first = Box::pin(permits.acquire());
        let mut second = pin!(permits.acquire());
        let mut third = pin!(permits.acquire());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(third.as_mut()).is_pending());
        assert_eq!((permits.held(), permits.waiting()), (1, 3));
        drop(held);
        // The permit was given to the first one, which is dropped before it is polled.
        drop(first);
        assert!(permits.try_acquire().is_none(), "waiters are not overtaken");
        assert!(poll(third.as_mut()).is_pending());
        let Poll::Ready(Ok(_held)) = poll(second.as_mut()) else {
            unreachable!("the second one is next")
        };
        assert_eq!((permits.held(), permits.waiting()), (1, 1));
    }

    #[test]
    fn closed_permits_are_given_to_no_caller() {
        let permits = Permits::new(1);
        let _held = permits.try_acquire().unwrap();
        let mut waiter = pin!(permits.acquire());
        assert!(poll(waiter.as_mut()).is_pending());
        permits.close();
        assert!(matches!(poll(waiter.as_mut()), Poll::Ready(Err(Closed))));
        assert_eq!(permits.held(), 1);
    }

    /// The limit, and how many permits are free and held.
    fn counts(permits: &Permits) -> (usize, usize, usize) {
        (permits.limit(), permits.free(), permits.held())
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_leaves_permits_for_what_is_open() {
        let permits = Permits::new(10);
        let mut held: Vec<Permit> = (0..4).filter_map(|_| permits.try_acquire()).collect();
        // Two have a connection, and two met a full peer.
        permits.learn_limit(2);
        assert_eq!(counts(&permits), (2, 0, 4));
        for _ in 0..2 {
            assert!(permits.are_in_excess());
            permits.give_up(held.pop().unwrap());
        }
        assert_eq!(counts(&permits), (2, 0, 2));
        assert!(permits.are_short() && !permits.are_in_excess());
        // Who has a connection returns the permit.
        drop(held);
        assert_eq!(counts(&permits), (2, 2, 0));
        permits.give_up(permits.try_acquire().unwrap());
        assert_eq!(counts(&permits), (2, 2, 0), "it was not in excess");
    }

    #[tokio::test(start_paused = true)]
    async fn refused_trials_come_after_growing_pauses() {
        let permits = Permits::new(10);
        permits.learn_limit(0);
        let mut waiter = pin!(permits.acquire());
        assert!(poll(waiter.as_mut()).is_pending());
        for pause in [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis) {
            let began = Instant::now();
            while !permits.may_begin_trial(|| 0) {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            let waited = began.elapsed() + Duration::from_millis(1);
            assert!(waited >= pause / 2, "{waited:?} of {pause:?}");
            assert!(began.elapsed() <= pause + Duration::from_millis(1));
            permits.begin_trial(|| 0);
            permits.begin_trial(|| 0);
            assert_eq!(permits.limit(), 1, "one at a time");
            let Poll::Ready(Ok(permit)) = poll(waiter.as_mut()) else {
                unreachable!("the trial is the waiter's")
            };
            permits.learn_limit(0);
            // Refusals of logins that began before change no pause.
            permits.learn_limit(0);
            permits.give_up(permit);
            assert_eq!(counts(&permits), (0, 0, 0));
            waiter.set(permits.acquire());
            assert!(poll(waiter.as_mut()).is_pending());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_accepted_trial_begins_the_next_while_callers_wait() {
        let permits = Permits::new(3);
        permits.learn_limit(0);
        // One that began before the refusal is no trial.
        permits.note_login(1);
        assert_eq!(permits.limit(), 0);
        tokio::time::advance(PAUSE.0).await;
        let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(permits.acquire())).collect();
        for waiter in &mut waiters {
            assert!(poll(waiter.as_mut()).is_pending());
        }
        permits.begin_trial(|| 0);
        let mut held = Vec::new();
        for open in 1..=3 {
            let Poll::Ready(Ok(permit)) = poll(waiters.remove(0).as_mut()) else {
                unreachable!("the trial is the first waiter's")
            };
            held.push(permit);
            assert_eq!(permits.limit(), open);
            permits.note_login(open);
        }
        assert!(!permits.are_short(), "the limit that was set is reached");
        assert!(poll(waiters.remove(0).as_mut()).is_pending());
        drop(held);
        assert_eq!(counts(&permits), (3, 3, 0));
    }
}
