//! How many connections are in use, and how many there may be.

use std::fmt;
use std::sync::Arc;

use evenhand::State;

/// How much of a pool is in use at one moment, from [`Pool::usage`](crate::Pool::usage).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Usage {
    /// The number of connections in use, about to be opened, or being cleaned up after use.
    pub in_use: usize,
    /// The limit over all peers, [`PoolOptions::max_connections`](crate::PoolOptions::max_connections);
    /// `None` if only the peers' own limits apply.
    pub limit: Option<usize>,
    /// Checkouts that count against `limit` but have no connection yet. 0 without a limit.
    pub checking_out: usize,
    /// Checkouts that wait for a permit of `limit`. 0 without a limit.
    pub waiting: usize,
    /// Each peer, in the order in which they were added.
    pub peers: Vec<PeerUsage>,
}

/// How much of one peer is in use by one pool at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeerUsage {
    /// The peer's name.
    pub peer: Arc<str>,
    /// The peer's state.
    pub state: State,
    /// Connections in use, about to be opened, or being cleaned up after use.
    pub in_use: usize,
    /// How many connections may be in use at a time: the peer's `pool_max`, or fewer if the server refuses
    /// further ones. Then it is the number that were open, at least 1. It grows again while checkouts
    /// wait, by one login at a time.
    pub limit: usize,
    /// Idle connections, ready for use.
    pub idle: usize,
    /// Connections opened so far, without those of probes and checks.
    pub opened: u64,
    /// Checkouts that wait for a connection to this peer.
    pub waiting: usize,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.in_use)?;
        if let Some(limit) = self.limit {
            write!(f, " of {limit}")?;
        }
        f.write_str(" connections in use")?;
        if self.checking_out > 0 {
            write!(f, ", {} checkouts in progress", self.checking_out)?;
        }
        for (i, peer) in self.peers.iter().enumerate() {
            let before = if i == 0 { " (" } else { ", " };
            let PeerUsage { in_use, limit, .. } = peer;
            write!(f, "{before}{}: {in_use} of {limit}", peer.peer)?;
        }
        f.write_str(if self.peers.is_empty() { "" } else { ")" })
    }
}

impl fmt::Display for PeerUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} connections in use", self.in_use, self.limit)
    }
}
