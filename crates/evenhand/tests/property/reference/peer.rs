//! A peer and an attempt, as the reference sees them.

use evenhand::State;
use tokio::time::Instant;

use crate::decisions::{Record, Way};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Up,
    Ejected,
    /// The attempt that is the probe.
    Probing(usize),
    Draining,
}

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) instance: u32,
    pub(crate) is: Is,
    /// Unless it was never ejected, or an operator put it back.
    pub(crate) record: Option<Record>,
    pub(crate) era: u64,
    pub(crate) failures: u32,
}

impl Peer {
    pub(crate) fn becomes(&mut self, is: Is) {
        self.is = is;
        self.era += 1;
        self.failures = 0;
    }

    pub(crate) fn state(&self) -> State {
        match self.is {
            Is::Up => State::Up,
            Is::Ejected => State::Ejected,
            Is::Probing(_) => State::Probing,
            Is::Draining => State::Draining,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is == Is::Up
    }
}

/// The state of an attempt and of its tickets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptState {
    pub(crate) instance: u32,
    pub(crate) way: Way,
    pub(crate) picked_in: u64,
    /// What its tickets report for.
    pub(crate) era: u64,
    /// It holds its permit: its outcome is unknown, or it waits for another peer's verdict.
    pub(crate) is_open: bool,
    pub(crate) tickets: u32,
}

/// The record of a peer that came back or went out now.
pub(crate) fn up_since(now: Instant) -> Record {
    Record {
        streak: 1,
        since: now,
        set: None,
        released: None,
        shown: [None; 2],
    }
}
