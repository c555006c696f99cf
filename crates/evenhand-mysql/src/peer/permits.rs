//! A FIFO semaphore that knows its limit, and how many callers hold and await its permits.
//!
//! The driver's pool has a wait queue that can lose a wake-up when a waiter is dropped. So callers wait
//! here, and that queue is never used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The permits. A waiter that is dropped leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Permits {
    limit: usize,
    semaphore: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// One permit, returned on drop.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

/// The semaphore is closed.
#[derive(Debug)]
pub(crate) struct Closed;

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        // More than a semaphore can count is no limit.
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            limit,
            semaphore: Arc::new(Semaphore::new(limit)),
            waiting: AtomicUsize::new(0),
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

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn held(&self) -> usize {
        self.limit.saturating_sub(self.free())
    }

    pub(crate) fn free(&self) -> usize {
        self.semaphore.available_permits()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
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
}
