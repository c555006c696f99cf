//! Who may have one of so many, first come first served.
//!
//! The driver's pool has a queue of its own, which can lose a wake-up when a waiter is dropped. So
//! waiting is done here, and that queue is never used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places. Whoever comes first is served first; a waiter that is dropped is as if it had
/// never come.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// One of the places; given back on drop.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

/// No place will be given any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        // More than a semaphore can count is no limit.
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            limit,
            free: Arc::new(Semaphore::new(limit)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for a place.
    pub(crate) async fn take(&self) -> Result<Place, Closed> {
        // It gives none to who comes now while others wait.
        if let Some(place) = self.try_take() {
            return Ok(place);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let permit = self.free.clone().acquire_owned().await;
        permit.map(Place).map_err(|_| Closed)
    }

    /// A place, if one is free and nobody waits for it.
    pub(crate) fn try_take(&self) -> Option<Place> {
        self.free.clone().try_acquire_owned().ok().map(Place)
    }

    /// Gives no place from now on: whoever waits is told so. Places that are taken are not touched.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.free.is_closed()
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn taken(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }

    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
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

/// What a connection that is out holds: a place at its peer, and one in all if that is limited.
#[derive(Debug)]
#[expect(dead_code, reason = "held, never read")]
pub(crate) struct Held {
    at_peer: Place,
    in_all: Option<Place>,
}

impl Held {
    pub(crate) fn new(at_peer: Place) -> Self {
        Self {
            at_peer,
            in_all: None,
        }
    }

    pub(crate) fn hold_in_all(&mut self, place: Option<Place>) {
        self.in_all = place;
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
    fn who_comes_first_is_served_first_and_a_dropped_waiter_takes_nothing() {
        let places = Places::new(1);
        let held = places.try_take().unwrap();
        let mut first = Box::pin(places.take());
        let mut second = pin!(places.take());
        let mut third = pin!(places.take());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(third.as_mut()).is_pending());
        assert_eq!((places.taken(), places.waiting()), (1, 3));
        drop(held);
        // It was the first one's turn, and it never looked.
        drop(first);
        assert!(places.try_take().is_none(), "nobody passes those who wait");
        assert!(poll(third.as_mut()).is_pending());
        let Poll::Ready(Ok(_held)) = poll(second.as_mut()) else {
            unreachable!("the second one is next")
        };
        assert_eq!((places.taken(), places.waiting()), (1, 1));
    }

    #[test]
    fn closed_places_are_given_to_nobody() {
        let places = Places::new(1);
        let _held = places.try_take().unwrap();
        let mut waiter = pin!(places.take());
        assert!(poll(waiter.as_mut()).is_pending());
        places.close();
        assert!(matches!(poll(waiter.as_mut()), Poll::Ready(Err(Closed))));
        assert_eq!(places.taken(), 1);
    }
}
