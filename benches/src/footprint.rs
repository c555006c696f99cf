//! The bytes that a peer costs: what is live after a set of `n` peers was built, less what is
//! live after an empty one was, divided by `n`.
//!
//! Counted as asked of the allocator, so without its own rounding. The peer's name is part of it
//! for Evenhand (tower has none), and so is the peer's service, of 8 bytes, for both. A program
//! without [`Counting`](crate::counting::Counting) as its allocator gets zeros.

use std::mem::size_of;
use std::task::{Context, Waker};

use tower::Service;

use crate::answer::Answer;
use crate::counting::count;
use crate::one_task::{evenhand, p2c, peers};

/// The peer's service itself, which any balancer has to keep.
pub const SERVICE: usize = size_of::<Answer>();

/// For Evenhand, beside the service.
pub fn of_evenhand(n: usize) -> f64 {
    a_peer(n, |n| evenhand(&peers(n)))
}

/// For tower's p2c with all of its peers ready, beside the service.
pub fn of_p2c(n: usize) -> f64 {
    a_peer(n, |n| {
        let mut balance = p2c(n);
        // The first poll takes the peers in. An empty balancer is never ready.
        let _ = balance.poll_ready(&mut Context::from_waker(Waker::noop()));
        balance
    })
}

fn a_peer<T>(n: usize, build: impl Fn(usize) -> T) -> f64 {
    // Once beforehand, for what is made once a thread or process.
    drop(build(n));
    let (_kept, empty) = count(|| build(0));
    let (_kept, full) = count(|| build(n));
    (full.live_bytes - empty.live_bytes) as f64 / n as f64 - SERVICE as f64
}
