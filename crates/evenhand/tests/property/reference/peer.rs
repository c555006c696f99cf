//! A peer and an attempt, as the reference sees them.

use evenhand::{State, Verdict};
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
    /// It joined on proof and has not been up yet.
    pub(crate) is_joining: bool,
    /// It is to leave as others come up.
    pub(crate) is_leaving: bool,
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
    /// How many tickets it has besides.
    pub(crate) plain: u32,
    /// How many clones its ticket that decides has.
    pub(crate) deciding: u32,
    /// A report of that one has counted, or the response's own verdict in its place.
    pub(crate) is_decided: bool,
}

/// An attempt whose response came and left the peer to a ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deferred {
    pub(crate) serial: usize,
    pub(crate) verdict: Verdict,
    /// When the verdict counts.
    pub(crate) limit: Instant,
}

impl AttemptState {
    /// How often it counts as in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        u32::from(self.is_open) + self.plain + u32::from(self.deciding > 0)
    }
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
