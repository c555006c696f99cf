//! The peer set as users and operators hold it.

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
        set.update(named(peers), false, |_, _| false)?;
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
        let new = self.set.new_peer(name.into(), target);
        self.set.edit(|peers| {
            if peers.iter().any(|peer| peer.name() == new.name()) {
                return Err(PeersError::Duplicate(new.shared_name()));
            }
            Ok(peers.iter().chain([&new]).cloned().collect())
        })
    }

    /// Removes a peer. Attempts in flight on it go on; their verdicts are ignored. The target is
    /// dropped when the last of them has ended.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn remove(&self, name: &str) -> Result<(), PeersError> {
        self.set.edit(|peers| {
            let others = peers.iter().filter(|peer| peer.name() != name);
            let others: Vec<_> = others.cloned().collect();
            if others.len() == peers.len() {
                return Err(PeersError::Unknown(name.into()));
            }
            Ok(others)
        })
    }

    /// Replaces all peers at once. A peer that is there already, with the same name and an equal
    /// target, keeps its state and weight. The others are [removed](Self::remove), and new ones
    /// added, in state `Up`. A request sees either the old peers or the new ones. Targets are compared
    /// outside every lock, and again if the set is changed meanwhile.
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
        self.set.update(named(peers), false, Target::eq)
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

    /// Puts a peer back at once, whatever its state, and forgets the failures that took it out. A drain
    /// in progress resolves.
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
            // A drain that waits is over.
            member.wake();
            member.forget_failures();
        }
        Ok(())
    }

    /// Ejects a peer manually, whatever its state. Its next probe is due after `time`, which is
    /// clamped to 1 ms to 1 year. No request goes there earlier, not even with [`AllDown::FailOpen`], and
    /// [`Eject::min_up`] does not apply.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    ///
    /// [`AllDown::FailOpen`]: crate::AllDown::FailOpen
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

/// Peers as [`Set::update`] takes them.
fn named<Name: Into<Arc<str>>, Target>(
    peers: impl IntoIterator<Item = (Name, Target)>,
) -> impl Iterator<Item = (Arc<str>, Option<Target>)> {
    let peers = peers.into_iter();
    peers.map(|(name, target)| (name.into(), Some(target)))
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
