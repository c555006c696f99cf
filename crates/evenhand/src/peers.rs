//! The peer set as users and operators hold it.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::ejection::eject_manually;
use crate::error::PeersError;
use crate::event::{EventKind, Events};
use crate::set::Set;
use crate::set::health::Phase;
use crate::set::peer::Peer;
use crate::set::registry::Change;
use crate::set::status::Status;

/// A set of equal peers and the health of each. Clones share one set.
///
/// `Target` is what the connector needs to reach a peer: an address, a pool, a channel. Balancers
/// over clones of one `Peers` share what they learn; balancers over different `Peers` share nothing.
///
/// ```
/// use evenhand::{Peers, State};
///
/// let peers = Peers::new([("db0", "10.0.0.1:3306"), ("db1", "10.0.0.2:3306")])?;
/// assert_eq!(peers.len(), 2);
/// assert!(peers.statuses().iter().all(|status| status.state == State::Up));
///
/// assert!(Peers::new([("db0", 1), ("db0", 2)]).is_err(), "names are unique");
/// # Ok::<(), evenhand::PeersError>(())
/// ```
pub struct Peers<Target> {
    pub(crate) set: Arc<Set<Target>>,
}

impl<Target> Peers<Target> {
    /// A set of the named peers, all of them up.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if two peers have the same name.
    pub fn new<Name: Into<Arc<str>>>(
        peers: impl IntoIterator<Item = (Name, Target)>,
    ) -> Result<Self, PeersError> {
        let set = Arc::new(Set::new());
        let peers = peers
            .into_iter()
            .map(|(name, target)| (name.into(), target));
        set.edit(|_| false, peers.collect())?;
        Ok(Self { set })
    }

    /// The number of peers, whatever their state.
    pub fn len(&self) -> usize {
        self.set.snapshot().peers().len()
    }

    /// Whether the set has no peers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of peers that are up.
    pub fn up_count(&self) -> usize {
        self.set.registry.up()
    }

    /// The status of each peer, in the order in which they were added.
    pub fn statuses(&self) -> Vec<Status> {
        self.set.statuses()
    }

    /// A stream of the peers' events from now on. A slow reader delays no request: one that falls
    /// more than 1024 events behind loses the oldest ones.
    pub fn subscribe(&self) -> Events {
        Events(self.set.registry.subscribe())
    }

    /// The peers, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Peer<Target>> + use<Target> {
        self.set.snapshot().peers().to_vec().into_iter()
    }

    /// Adds a peer, in state `Up` and with weight 1.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if the set has a peer of that name.
    pub fn add(&self, name: impl Into<Arc<str>>, target: Target) -> Result<(), PeersError> {
        self.set.edit(|_| false, vec![(name.into(), target)])
    }

    /// Removes a peer. Attempts in flight on it go on; their verdicts are ignored. The target is
    /// dropped when the last of them has ended.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn remove(&self, name: &str) -> Result<(), PeersError> {
        let gone = self.set.peer(name)?.member().id;
        self.set.edit(|member| member.id == gone, Vec::new())
    }

    /// Replaces all peers at once. A peer that is there already, with the same name and an equal
    /// target, keeps its state and weight. The others are [removed](Self::remove), and new ones
    /// added, in state `Up`. A request sees either the old peers or the new ones.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if two peers have the same name; then nothing is changed.
    pub fn replace_all<Name: Into<Arc<str>>>(
        &self,
        peers: impl IntoIterator<Item = (Name, Target)>,
    ) -> Result<(), PeersError>
    where
        Target: PartialEq,
    {
        let mut wanted: HashMap<Arc<str>, Target> = HashMap::new();
        let mut names: Vec<Arc<str>> = Vec::new();
        for (name, target) in peers {
            let name = name.into();
            if wanted.insert(name.clone(), target).is_some() {
                return Err(PeersError::Duplicate(name));
            }
            names.push(name);
        }
        // Targets are compared and dropped outside the set's lock.
        let mut stay = Vec::new();
        for peer in self.iter() {
            if wanted
                .get(peer.name())
                .is_some_and(|target| *target == *peer)
            {
                wanted.remove(peer.name());
                stay.push(peer.member().id);
            }
        }
        let add = names
            .into_iter()
            .filter_map(|name| wanted.remove(&name).map(|target| (name, target)));
        // Ids grow in the order of the peers.
        self.set.edit(
            |member| stay.binary_search(&member.id).is_err(),
            add.collect(),
        )
    }

    /// Takes a peer out of the picks, and resolves once no attempt is in flight on it and no
    /// [`Ticket`](crate::Ticket) for one lives. The peer stays out until it is
    /// [restored](Self::restore) or [removed](Self::remove); it is neither probed nor checked.
    ///
    /// There is no time limit: put your own around it.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, the peer stays out of the picks. If it is never
    /// polled, nothing happens.
    pub async fn drain(&self, name: &str) -> Result<(), PeersError> {
        let peer = self.set.peer(name)?;
        let member = peer.member();
        peer.change(|record, _| {
            member.health.drain()?;
            *record = None;
            Some(Change::Event(EventKind::Draining))
        });
        loop {
            let mut changed = pin!(member.changed().notified());
            // Listens before it looks, so that the last attempt's end does not fall between.
            changed.as_mut().enable();
            let is_draining = member.health.read().phase == Phase::Draining;
            if member.in_flight.count() == 0 || !is_draining {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Puts a peer back at once, whatever its state, and forgets its failures. A drain in progress
    /// resolves.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn restore(&self, name: &str) -> Result<(), PeersError> {
        let peer = self.set.peer(name)?;
        let member = peer.member();
        let restored = peer.change(|record, _| {
            member.health.restore()?;
            *record = None;
            Some(Change::Event(EventKind::Restored))
        });
        if restored {
            // A drain that waits is over. First, as the user's accrual may panic.
            member.wake();
            member.reset_failures();
        }
        Ok(())
    }

    /// Ejects a peer manually, whatever its state. Its next probe is due after `time`, which is
    /// clamped to 1 ms to 1 year. It is not probed earlier, not even by [`AllDown::LastResort`], and
    /// [`Eject::min_up`] does not apply.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    ///
    /// [`AllDown::LastResort`]: crate::AllDown::LastResort
    /// [`Eject::min_up`]: crate::Eject::min_up
    pub fn eject(&self, name: &str, time: Duration) -> Result<(), PeersError> {
        eject_manually(&self.set.peer(name)?, time);
        Ok(())
    }

    /// Sets a peer's weight, which only [`Weighted`](crate::Weighted) picks use: a peer of weight 0
    /// gets none of them. Default: 1.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), PeersError> {
        let peer = self.set.peer(name)?;
        peer.change(|_, _| {
            peer.member().set_weight(weight);
            Some(Change::Weight)
        });
        Ok(())
    }
}

impl<Target> Clone for Peers<Target> {
    fn clone(&self) -> Self {
        Self {
            set: self.set.clone(),
        }
    }
}

impl<Target> fmt::Debug for Peers<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peers").field(&self.set).finish()
    }
}
