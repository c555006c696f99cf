//! How many connections there are, of how many there may be.

use std::fmt;
use std::sync::Arc;

use evenhand::State;

/// How much of a pool is in use at one moment; see [`Pool::usage`](crate::Pool::usage).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Connections that are out: in use, about to be opened, or being cleaned up after use.
    pub in_use: usize,
    /// How many may be out in all; `None`: only the peers' own limits count.
    pub limit: Option<usize>,
    /// Checkouts that count against `limit` and have no connection yet: they wait for a peer. 0
    /// without a limit.
    pub checking_out: usize,
    /// Checkouts that wait for `limit` to let them in. 0 without a limit.
    pub waiting: usize,
    /// Each peer, in the order they were added.
    pub peers: Vec<PeerUsage>,
}

/// How much of one peer is in use by one pool at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerUsage {
    /// The peer's name.
    pub peer: Arc<str>,
    /// Its state.
    pub state: State,
    /// Connections that are out: in use, about to be opened, or being cleaned up after use.
    pub in_use: usize,
    /// How many may be out at a time.
    pub limit: usize,
    /// Idle connections, ready to be used.
    pub idle: usize,
    /// Connections that were ever opened; those of probes and checks do not count.
    pub opened: u64,
    /// Checkouts that wait for one of its connections.
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
            write!(f, ", {} checkouts under way", self.checking_out)?;
        }
        for (i, peer) in self.peers.iter().enumerate() {
            let before = if i == 0 { " (" } else { ", " };
            write!(
                f,
                "{before}{}: {} of {}",
                peer.peer, peer.in_use, peer.limit
            )?;
        }
        f.write_str(if self.peers.is_empty() { "" } else { ")" })
    }
}

impl fmt::Display for PeerUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} connections to it in use",
            self.in_use, self.limit
        )
    }
}
