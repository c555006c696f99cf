//! A pool's peers as operators hold them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{Events, Peers, Status};
use mysql_async::Opts;

use crate::endpoint::{Endpoint, Peer};
use crate::error::Error;
use crate::options::PoolOptions;
use crate::usage::PeerUsage;

/// A pool's peers, from [`Pool::peers`](crate::Pool::peers): their states, what happens to them,
/// and what operators do with them. Clones share one set, the pool's.
///
/// ```no_run
/// # use evenhand_mysql::Pool;
/// # async fn run(pool: Pool) -> Result<(), evenhand_mysql::Error> {
/// let peers = pool.peers();
/// peers.drain("db1").await?; // Nobody uses it any more: restart it in peace.
/// peers.restore("db1")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PeersHandle {
    pub(crate) peers: Peers<Arc<Endpoint>>,
    pub(crate) options: PoolOptions,
}

impl PeersHandle {
    /// Each peer's state, in the order they were added.
    pub fn statuses(&self) -> Vec<Status> {
        self.peers.statuses()
    }

    /// How many peers are up.
    pub fn up(&self) -> usize {
        self.peers.up()
    }

    /// How much of each peer is in use, in the order they were added.
    pub fn usage(&self) -> Vec<PeerUsage> {
        self.peers.iter().map(|peer| peer.usage(&peer)).collect()
    }

    /// What happens to the peers from now on.
    pub fn subscribe(&self) -> Events {
        self.peers.subscribe()
    }

    /// Takes a peer out: no checkout goes to it, its idle connections are closed, and those in use
    /// go on and are closed when they are returned. Resolves when the last one is. It stays out
    /// until it is [restored](Self::restore) or [removed](Self::remove).
    ///
    /// There is no time limit; put your own around it. If it is dropped before it resolves, the
    /// peer stays out; if it is never polled, nothing happens.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if there is no peer of that name.
    pub async fn drain(&self, name: &str) -> Result<(), Error> {
        Ok(self.peers.drain(name).await?)
    }

    /// Puts a peer back in at once, whatever its state. A drain that is under way resolves.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if there is no peer of that name.
    pub fn restore(&self, name: &str) -> Result<(), Error> {
        Ok(self.peers.restore(name)?)
    }

    /// Ejects a peer by hand: its idle connections are closed, those in use go on, whoever waits on
    /// it moves on. After `time` it is probed, and comes back if the probe succeeds.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if there is no peer of that name.
    pub fn eject(&self, name: &str, time: Duration) -> Result<(), Error> {
        Ok(self.peers.eject(name, time)?)
    }

    /// Adds a peer, up, with the pool's options. It is given as in [`Pool::new`](crate::Pool::new).
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if there is a peer of that name, [`Error::Options`] for options that are
    /// not valid, [`Error::Disconnected`] after the pool's
    /// [`disconnect`](crate::Pool::disconnect).
    pub fn add<O>(&self, name: impl Into<Arc<str>>, opts: O) -> Result<(), Error>
    where
        Opts: TryFrom<O>,
        <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
    {
        if self.peers.iter().any(|peer| peer.places.is_closed()) {
            return Err(Error::Disconnected);
        }
        let (name, endpoint) = Endpoint::open(name.into(), opts, &self.options)?;
        Ok(self.peers.add(name, endpoint)?)
    }

    /// Makes the peers what this list says, at once: one that is there already, by name and options,
    /// stays as it is, with its state and its connections; the others are [removed](Self::remove), and
    /// new ones added, up. A checkout sees either the old peers or the new ones. Weights stay with the
    /// peers that stay.
    ///
    /// # Errors
    ///
    /// Those of [`add`](Self::add), and [`Error::Peers`] if two have the same name; then nothing is
    /// changed.
    pub fn replace_all<N, O>(&self, peers: impl IntoIterator<Item = (N, O)>) -> Result<(), Error>
    where
        N: Into<Arc<str>>,
        Opts: TryFrom<O>,
        <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
    {
        let before: Vec<Peer> = self.peers.iter().collect();
        if before.iter().any(|peer| peer.places.is_closed()) {
            return Err(Error::Disconnected);
        }
        let wanted = peers
            .into_iter()
            .map(|(name, opts)| Endpoint::open(name.into(), opts, &self.options))
            .collect::<Result<Vec<_>, _>>()?;
        self.peers.replace_all(wanted)?;
        let present: Vec<Peer> = self.peers.iter().collect();
        let stays = |gone: &Peer| present.iter().any(|peer| Arc::ptr_eq(peer, gone));
        before
            .iter()
            .filter(|peer| !stays(peer))
            .for_each(|peer| peer.driver.purge());
        Ok(())
    }

    /// Sets a peer's weight, which [`Pick::Weighted`](crate::Pick::Weighted) goes by. It is 1 at first;
    /// nought means never.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if there is no peer of that name.
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), Error> {
        Ok(self.peers.set_weight(name, weight)?)
    }

    /// Removes a peer. Its idle connections are closed, those in use go on and are closed when they
    /// are returned.
    ///
    /// # Errors
    ///
    /// [`Error::Peers`] if there is no peer of that name.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let removed = self.peers.iter().find(|peer| peer.name() == name);
        self.peers.remove(name)?;
        if let Some(peer) = removed {
            peer.driver.purge();
        }
        Ok(())
    }
}

/// Shows the peers' names and states.
impl fmt::Debug for PeersHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeersHandle").field(&self.peers).finish()
    }
}
