//! The faults as values, and what is counted.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the peer: requests.
    ToUpstream,
    /// From the peer to the client: replies.
    ToClient,
}

/// One of something for each direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Each<T> {
    to_upstream: T,
    to_client: T,
}

impl<T> Each<T> {
    pub(super) fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::ToUpstream => &self.to_upstream,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(super) fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ToUpstream => &mut self.to_upstream,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// What a test has told the proxy to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    pub(super) delay: Each<Duration>,
    pub(super) frozen: bool,
    pub(super) rate: Option<NonZeroU64>,
    pub(super) cut: Option<Cut>,
    /// How many cuts were ever set.
    pub(super) cuts: u64,
    /// How often all connections were ever reset.
    pub(super) resets: u64,
}

/// When connections are to be closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Tells a cut from the one before, since each is counted from its own beginning.
    pub(super) number: u64,
    pub(super) direction: Direction,
    pub(super) after: u64,
}

impl Control {
    /// Ends all that can be ended.
    pub(super) fn heal(&mut self) {
        *self = Control {
            cuts: self.cuts,
            resets: self.resets,
            ..Control::default()
        };
    }
}

/// What has happened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) open: AtomicUsize,
    pub(super) bytes: Each<AtomicU64>,
}
