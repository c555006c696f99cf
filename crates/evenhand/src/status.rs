//! What a peer is at one moment, as users see it.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::health::Phase;

/// A peer's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It takes its share of the picks.
    Up,
    /// It is out, and will be probed.
    Ejected,
    /// It is out, and one attempt is under way to find whether it is back.
    Probing,
    /// An operator took it out of the picks; attempts under way on it go on.
    Draining,
}

impl From<Phase> for State {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Up => Self::Up,
            Phase::Ejected | Phase::Due => Self::Ejected,
            Phase::Probing => Self::Probing,
            Phase::Draining => Self::Draining,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Probing => "probing",
            Self::Draining => "draining",
        })
    }
}

/// One peer's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The peer's name.
    pub peer: Arc<str>,
    /// Its state.
    pub state: State,
    /// While it is ejected: when its next probe is due.
    pub next_probe: Option<Instant>,
    /// Attempts under way on it, and tickets for such.
    pub in_flight: u32,
    /// What it weighs under [`Weighted`](crate::Weighted) picks.
    pub weight: u32,
}
