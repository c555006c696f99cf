//! A peer's state at one moment, as users see it.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::health::Phase;

/// A peer's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum State {
    /// The peer takes its share of the picks.
    Up,
    /// The peer is out, and will be probed when it is due.
    Ejected,
    /// The peer is out, and one probe of it is in flight.
    Probing,
    /// An operator took the peer out of the picks. Attempts in flight on it go on.
    Draining,
}

impl From<Phase> for State {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Up => Self::Up,
            Phase::Ejected => Self::Ejected,
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
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Status {
    /// The peer's name.
    pub peer: Arc<str>,
    /// The peer's state.
    pub state: State,
    /// When the peer's next probe is due, while it is [`Ejected`](State::Ejected).
    #[cfg_attr(
        feature = "serde",
        serde(rename = "next_probe_in", serialize_with = "crate::serialize::until")
    )]
    pub next_probe: Option<Instant>,
    /// The number of attempts in flight on the peer, including those with a live
    /// [`Ticket`](crate::Ticket).
    pub in_flight: u32,
    /// The peer's weight under [`Weighted`](crate::Weighted) picks.
    pub weight: u32,
    /// The peer's [tier](crate::Peers::set_tier).
    pub tier: u32,
    /// Since when the peer is up, out (ejected or probing), or draining.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "for", serialize_with = "crate::serialize::since")
    )]
    pub since: Instant,
    /// The reason of the peer's last ejection or failed probe, if it had one. Kept when the peer
    /// recovers or is drained, and forgotten when an operator restores it.
    pub last_reason: Option<&'static str>,
}
