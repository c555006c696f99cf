//! The count of attempts in flight on one peer, and a number for each.
//!
//! A drain ends when it is 0. So an attempt is counted before the peer's health word is read, and a
//! drain writes the word before it reads the count, all in one sequentially consistent order: either
//! the drain sees the attempt, or the attempt sees the drain and goes elsewhere.

#[cfg(evenhand_loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(evenhand_loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// How many attempts are in flight, in the low half of the word, and how many there have been, in
/// the high half, which wraps.
#[derive(Debug)]
pub(crate) struct InFlight(AtomicU64);

const IN_FLIGHT: u64 = 1;
const ENTERED: u64 = 1 << 32;

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts an attempt. Returns how many came before it, which tells it from all others.
    #[inline]
    pub(crate) fn enter(&self) -> u32 {
        let before = self.0.fetch_add(ENTERED | IN_FLIGHT, Ordering::SeqCst);
        (before >> 32) as u32
    }

    /// Says whether this was the last one.
    #[inline]
    pub(crate) fn leave(&self) -> bool {
        self.0.fetch_sub(IN_FLIGHT, Ordering::SeqCst) as u32 == 1
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst) as u32
    }
}
