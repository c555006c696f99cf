//! [`PeersHandle`]: a pool's peers as operators hold them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{Events, Peers, Status};

use super::background::purge_idle::Made;
use super::seeds::Seeds;
use crate::error::Error;
use crate::options::PoolOptions;
use crate::peer::Endpoint;
use crate::peer::into_peer::IntoPeer;
use crate::usage::PeerUsage;

/// A pool's peers, for operators: shows, adds, removes, drains, ejects and restores them. Made by
/// [`Pool::peers`](crate::Pool::peers). Clones share one set, the pool's.
///
/// ```no_run
/// # use evenhand_mysql::Pool;
/// # async fn run(pool: Pool) -> Result<(), evenhand_mysql::Error> {
/// let peers = pool.peers();
/// peers.drain("db1").await?; // No connection to it is in use any more: restart it now.
/// peers.restore("db1")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PeersHandle {
    pub(crate) peers: Peers<Arc<Endpoint>>,
    pub(crate) options: PoolOptions,
    pub(super) seeds: Option<Arc<Seeds>>,
    pub(super) made: Made,
}

impl PeersHandle {
    /// The status of each peer, in the order in which they were added.
    pub fn statuses(&self) -> Vec<Status> {
        self.peers.statuses()
    }

    /// The number of peers that are up.
    pub fn up_count(&self) -> usize {
        self.peers.up_count()
    }

    /// How much of each peer is in use, in the order in which they were added.
    pub fn usage(&self) -> Vec<PeerUsage> {
        self.peers.iter().map(|peer| peer.usage(&peer)).collect()
    }

    /// A stream of the peers' events from now on: ejections, probes, recoveries. A reader that falls
    /// more than 1024 events behind loses the oldest ones.
    pub fn subscribe(&self) -> Events {
        self.peers.subscribe()
    }

    /// Takes a peer out of use: no checkout goes to it, its idle connections are closed, and those in
    /// use continue and are closed when they are returned. Resolves when the last one is. The peer
    /// stays out until it is [restored](Self::restore) or [removed](Self::remove).
    ///
    /// There is no time limit; put your own around it.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if no peer has this name.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, the peer stays out. If it is never polled, nothing
    /// happens.
    pub async fn drain(&self, name: &str) -> Result<(), Error> {
        Ok(self.peers.drain(name).await?)
    }

    /// Puts a peer back at once, whatever its state. A drain in progress resolves.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if no peer has this name.
    pub fn restore(&self, name: &str) -> Result<(), Error> {
        Ok(self.peers.restore(name)?)
    }

    /// Ejects a peer manually: its idle connections are closed, those in use continue, and callers that
    /// wait for it move on. It is probed after `time`, which is clamped to 1 ms to 1 year, and comes back
    /// if it passes.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if no peer has this name.
    pub fn eject(&self, name: &str, time: Duration) -> Result<(), Error> {
        Ok(self.peers.eject(name, time)?)
    }

    /// Adds a peer, in state `Up`, with the pool's options. `opts` are given as to
    /// [`PoolOptions::open`].
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if a peer has this name, [`Error::Options`] for invalid options,
    /// [`Error::Disconnected`] after [`Pool::disconnect`](crate::Pool::disconnect).
    pub fn add<N, O>(&self, name: N, opts: O) -> Result<(), Error>
    where
        (N, O): IntoPeer,
    {
        self.ensure_connected()?;
        let (name, endpoint) = Endpoint::of((name, opts), 1, &self.options)?;
        self.made.add([&endpoint]);
        Ok(self.peers.add(name, endpoint)?)
    }

    /// Replaces the list of peers at once. A peer that is there already, by name and options, keeps its
    /// state, weight and connections; the others are [removed](Self::remove), and new ones added in
    /// state `Up`. A checkout sees either the old peers or the new ones. In a pool that
    /// [follows its cluster](PoolOptions::discover) this replaces the seeds.
    ///
    /// # Errors
    ///
    /// Those of [`add`](Self::add), and [`Error::Peers`] if two have the same name. Then nothing is
    /// changed.
    pub fn replace_all(&self, peers: impl IntoIterator<Item = impl IntoPeer>) -> Result<(), Error> {
        self.ensure_connected()?;
        let peers = Endpoint::all(peers, &self.options)?;
        self.made.add(peers.iter().map(|(_, endpoint)| endpoint));
        match &self.seeds {
            Some(seeds) => seeds.replace(peers, &self.peers),
            None => Ok(self.peers.replace_all(peers)?),
        }
    }

    /// Sets a peer's weight, which [`PickKind::Weighted`](crate::PickKind::Weighted) uses. Default: 1.
    /// A peer of weight 0 is never picked. In a pool that [follows its cluster](PoolOptions::discover) a seed keeps its
    /// weight while it is no peer.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if no peer has this name.
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), Error> {
        let seeds = self.seeds.as_ref();
        let is_seed = seeds.is_some_and(|seeds| seeds.set_weight(name, weight));
        match self.peers.set_weight(name, weight) {
            Err(_) if is_seed => Ok(()),
            set => Ok(set?),
        }
    }

    /// Puts a peer into a tier: 0, the default, is preferred, and the next ones take what it cannot carry, as
    /// [`evenhand::Peers::set_tier`] says. Works with every [`PickKind`](crate::PickKind).
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if no peer has this name.
    pub fn set_tier(&self, name: &str, tier: u32) -> Result<(), Error> {
        Ok(self.peers.set_tier(name, tier)?)
    }

    /// Sets how much more than its share a [tier](Self::set_tier) can carry, as
    /// [`evenhand::Peers::set_overprovisioning`] says. Default:
    /// [`DEFAULT_OVERPROVISIONING`](evenhand::DEFAULT_OVERPROVISIONING), 1.4 times. With `f64::INFINITY` a tier is
    /// used only while no peer of those before it is up.
    pub fn set_overprovisioning(&self, factor: f64) {
        self.peers.set_overprovisioning(factor);
    }

    /// Removes a peer. Its idle connections are closed; those in use continue and are closed when they
    /// are returned.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if no peer has this name.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        Ok(self.peers.remove(name)?)
    }

    fn ensure_connected(&self) -> Result<(), Error> {
        match self.peers.iter().any(|peer| peer.permits.is_closed()) {
            true => Err(Error::Disconnected),
            false => Ok(()),
        }
    }
}

/// Shows the peers' names and states.
impl fmt::Debug for PeersHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeersHandle").field(&self.peers).finish()
    }
}
