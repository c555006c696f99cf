//! What the peers go through.

use std::time::Duration;

pub(crate) const PEERS: usize = 10;

/// The time in which clients send requests.
pub(crate) const END: Duration = Duration::from_secs(60);

/// When the trouble begins.
const BEGIN: u64 = 10_000;

/// How a peer meets a request that comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It has room, and serves quickly.
    Well,
    /// It takes one request at a time, and long for it.
    Full,
    /// It refuses at once.
    Refuses,
    /// It never answers.
    Hangs,
}

use Condition::{Full, Hangs, Refuses, Well};

pub(crate) struct History {
    pub(crate) name: &'static str,
    /// The condition of a peer at a time in milliseconds.
    condition: fn(usize, u64) -> Condition,
    /// A served request of this balancer waits no longer.
    pub(crate) longest: Duration,
}

impl History {
    pub(crate) fn condition(&self, peer: usize, at: Duration) -> Condition {
        (self.condition)(peer, u64::try_from(at.as_millis()).unwrap())
    }
}

pub(crate) static HISTORIES: [History; 10] = [
    History {
        name: "no trouble",
        condition: |_, _| Well,
        longest: Duration::from_millis(10),
    },
    History {
        name: "all refuse for 3 s",
        condition: |_, at| during(at, 3_000, Refuses),
        longest: Duration::from_secs(5),
    },
    History {
        name: "all are back at once after 35 s",
        condition: |_, at| during(at, 35_000, Refuses),
        longest: Duration::from_millis(10_100),
    },
    History {
        name: "all are full for 10 s",
        condition: |_, at| during(at, 10_000, Full),
        longest: Duration::from_millis(10_100),
    },
    History {
        name: "all flap every 200 ms, in turn",
        condition: |peer, at| flapping(at + 40 * peer as u64, at, 200),
        longest: Duration::from_millis(10_100),
    },
    History {
        name: "all flap every 200 ms, in step",
        condition: |_, at| flapping(at, at, 200),
        longest: Duration::from_millis(10_100),
    },
    History {
        name: "all flap every 5 s, in turn",
        condition: |peer, at| flapping(at + 1_000 * peer as u64, at, 5_000),
        longest: Duration::from_millis(10_100),
    },
    History {
        name: "all flap every 5 s, in step",
        condition: |_, at| flapping(at, at, 5_000),
        longest: Duration::from_millis(10_100),
    },
    History {
        name: "half refuse from then on",
        condition: |peer, at| half(peer, at, Refuses),
        longest: Duration::from_millis(10_100),
    },
    History {
        name: "half hang from then on",
        condition: |peer, at| half(peer, at, Hangs),
        longest: Duration::from_millis(10_100),
    },
];

fn during(at: u64, lasts: u64, condition: Condition) -> Condition {
    match (BEGIN..BEGIN + lasts).contains(&at) {
        true => condition,
        false => Well,
    }
}

/// Out and well by turns, each for `every`, for 40 s.
fn flapping(phase: u64, at: u64, every: u64) -> Condition {
    match (phase - BEGIN.min(phase)) / every % 2 {
        0 => during(at, 40_000, Refuses),
        _ => Well,
    }
}

fn half(peer: usize, at: u64, condition: Condition) -> Condition {
    match at >= BEGIN && peer % 2 == 1 {
        true => condition,
        false => Well,
    }
}
