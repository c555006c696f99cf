//! The count of attempts in flight on one peer.
//!
//! A drain ends when it is 0. So an attempt is counted before the peer's health word is read, and a
//! drain writes the word before it reads the count, all in one sequentially consistent order: either
//! the drain sees the attempt, or the attempt sees the drain and goes elsewhere.

#[cfg(evenhand_loom)]
use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(evenhand_loom))]
use std::sync::atomic::{AtomicU32, Ordering};

/// How many attempts are in flight.
#[derive(Debug)]
pub(crate) struct InFlight(AtomicU32);

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    pub(crate) fn enter(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Says whether this was the last one.
    #[inline]
    pub(crate) fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) == 1
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}
