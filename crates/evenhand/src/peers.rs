//! The peer set as users and operators hold it.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::book::{Change, Record};
use crate::error::PeersError;
use crate::event::{EventKind, Events};
use crate::health::Phase;
use crate::member::Member;
use crate::peer::Peer;
use crate::place::hold;
use crate::set::Set;
use crate::status::Status;

/// A set of equal peers and the health of each. Clones share one set.
///
/// `P` is what the connector needs to reach a peer: an address, a pool, a channel. Several
/// balancers over clones of one `Peers` share what they learn; two that were given different
/// `Peers` share nothing.
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
pub struct Peers<P> {
    pub(crate) set: Arc<Set<P>>,
}

impl<P> Peers<P> {
    /// A set of the named peers, all of them up.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if two peers have the same name.
    pub fn new<N: Into<Arc<str>>>(
        peers: impl IntoIterator<Item = (N, P)>,
    ) -> Result<Self, PeersError> {
        let set = Set::new();
        let peers = peers.into_iter().map(|(name, data)| (name.into(), data));
        set.edit(|_| false, peers.collect())?;
        Ok(Self { set })
    }

    /// How many peers there are, whatever their state.
    pub fn len(&self) -> usize {
        self.set.view().members()
    }

    /// Whether there is no peer at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many peers are up.
    pub fn up(&self) -> usize {
        self.set.view().up.len()
    }

    /// Each peer's state, in the order they were added.
    pub fn statuses(&self) -> Vec<Status> {
        self.set.statuses()
    }

    /// What happens to the peers from now on. Reading is never in a request's way: a reader that
    /// falls far behind loses the oldest events.
    pub fn subscribe(&self) -> Events {
        Events(self.set.subscribe())
    }

    /// The peers themselves, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = Peer<P>> + use<P> {
        self.set.members().into_iter().map(Peer)
    }

    /// Adds a peer, up.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if there is one of that name.
    pub fn add(&self, name: impl Into<Arc<str>>, data: P) -> Result<(), PeersError> {
        self.set.edit(|_| false, vec![(name.into(), data)])
    }

    /// Removes a peer. Attempts under way on it go on, and what they learn is of no more account.
    ///
    /// What was given for it is dropped when the last of them has ended and each clone of a
    /// balancer that was used before has been used again or dropped.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if there is none of that name.
    pub fn remove(&self, name: &str) -> Result<(), PeersError> {
        self.set.member(name)?;
        self.set.edit(|member| *member.name == *name, Vec::new())
    }

    /// Makes the set what `peers` says: a peer that is there already, by name and by what is given
    /// for it, stays as it is, with its state; the others are removed, and new ones added. Requests
    /// see either the old set or the new one.
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if two peers have the same name; then nothing is changed.
    pub fn replace_all<N: Into<Arc<str>>>(
        &self,
        peers: impl IntoIterator<Item = (N, P)>,
    ) -> Result<(), PeersError>
    where
        P: PartialEq,
    {
        let wanted: Vec<(Arc<str>, P)> = peers
            .into_iter()
            .map(|(name, data)| (name.into(), data))
            .collect();
        let same = |member: &Member<P>, (name, data): &(Arc<str>, P)| {
            member.name == *name && member.data == *data
        };
        let mut names: Vec<&Arc<str>> = wanted.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PeersError::Duplicate(twice[0].clone()));
        }
        let present = self.set.members();
        let (stay, add): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|peer| present.iter().any(|member| same(member, peer)));
        self.set
            .edit(|member| !stay.iter().any(|peer| same(member, peer)), add)
    }

    /// Takes a peer out of the picks and resolves once no attempt is under way on it and no
    /// [`Ticket`](crate::Ticket) for one lives. It stays out until it is
    /// [restored](Self::restore) or [removed](Self::remove).
    ///
    /// If it is dropped before it resolves, the peer stays as it is, out of the picks; if it is
    /// never polled, nothing happens.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if there is none of that name.
    pub async fn drain(&self, name: &str) -> Result<(), PeersError> {
        let member = self.set.member(name)?;
        member.change(|record, _| {
            member.health.drain()?;
            *record = Record::default();
            Some(Change::Told(EventKind::Draining))
        });
        loop {
            let mut changed = pin!(member.changed().notified());
            // Listens before it looks, so that the last attempt's end does not fall between.
            changed.as_mut().enable();
            let draining = member.health.read().phase == Phase::Draining;
            if member.in_flight.count() == 0 || !draining {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Puts a peer back in at once, whatever its state.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if there is none of that name.
    pub fn restore(&self, name: &str) -> Result<(), PeersError> {
        let member = self.set.member(name)?;
        member.change(|record, _| {
            member.health.restore()?;
            member.forget();
            *record = Record::default();
            Some(Change::Told(EventKind::Restored))
        });
        // A drain that is waiting is over.
        member.wake();
        Ok(())
    }

    /// Sets a peer's weight, which [`Weighted`](crate::Weighted) picks go by. It is 1 at first;
    /// nought means never.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if there is none of that name.
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), PeersError> {
        let member = self.set.member(name)?;
        member.change(|_, _| {
            member.set_weight(weight);
            Some(Change::Quiet)
        });
        Ok(())
    }
}

impl<P: Send + Sync + 'static> Peers<P> {
    /// Ejects a peer by hand, for `time`: then its next probe is due, and no success before that
    /// lifts the ejection, nor is it anyone's last resort. The limits of
    /// [`Eject::keep`](crate::Eject::keep) do not hold it back.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if there is none of that name.
    pub fn eject(&self, name: &str, time: Duration) -> Result<(), PeersError> {
        let member = self.set.member(name)?;
        hold(&member, time, self.set.policies.first().as_ref());
        Ok(())
    }
}

impl<P> Clone for Peers<P> {
    fn clone(&self) -> Self {
        Self {
            set: self.set.clone(),
        }
    }
}

impl<P> fmt::Debug for Peers<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peers").field(&self.set).finish()
    }
}
