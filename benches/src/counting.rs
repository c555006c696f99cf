//! An allocator that counts what is allocated while it is told to.
//!
//! It is the system's allocator with a switch in front. While the switch is off, as it is during
//! all timed rounds and under callgrind, an allocation costs one load and one branch more, and so
//! does a release. That falls on the rows that allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// To be made the `#[global_allocator]` of the program that counts.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// What happened while it counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many allocations were made; one that grows or shrinks counts too.
    pub allocations: u64,
    /// Bytes asked for and not given back.
    pub live_bytes: i64,
}

/// Counts what all threads allocate while `work` runs. Not to be nested.
pub fn count<T>(work: impl FnOnce() -> T) -> (T, Count) {
    ALLOCATIONS.store(0, Ordering::SeqCst);
    LIVE_BYTES.store(0, Ordering::SeqCst);
    ON.store(true, Ordering::SeqCst);
    let done = work();
    ON.store(false, Ordering::SeqCst);
    let count = Count {
        allocations: ALLOCATIONS.load(Ordering::SeqCst),
        live_bytes: LIVE_BYTES.load(Ordering::SeqCst),
    };
    (done, count)
}

fn note(allocations: u64, bytes: i64) {
    if ON.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(allocations, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn signed(size: usize) -> i64 {
    // A `Layout` is never larger than `isize::MAX`.
    size as i64
}

#[allow(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait; there is no safe way to count allocations"
)]
// SAFETY: every method hands its arguments on to `System` unchanged and gives back what `System`
// gave, so `System` keeps the whole of the contract. Counting touches atomics only: it neither
// allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, signed(layout.size()));
        // SAFETY: the caller keeps `alloc`'s contract, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, -signed(layout.size()));
        // SAFETY: `block` came from this allocator, so from `System`, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, signed(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(1, signed(new_size) - signed(layout.size()));
        // SAFETY: as in `dealloc`; the caller vouches for `new_size`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
