//! The peer set as users and operators hold it.

mod drain;
mod place;
mod probe_now;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::ejection::eject_manually;
use crate::error::PeersError;
use crate::event::{EventKind, Events};
use crate::set::Set;
use crate::set::ledger::Join;
use crate::set::peer::Peer;
use crate::set::placed::Placed;
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
    pub(crate) join: Join,
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
        Self::of(None, wanted(peers))
    }

    /// As [`new`](Self::new), with a name that tells this set from others in log lines and
    /// [events](crate::Event).
    ///
    /// ```
    /// use evenhand::Peers;
    ///
    /// let peers = Peers::named("orders", [("db0", "10.0.0.1:3306"), ("db1", "10.0.0.2:3306")])?;
    /// let mut events = peers.subscribe();
    /// peers.remove("db1")?;
    /// let event = events.try_next()?.ok_or("no event")?;
    /// assert_eq!(event.to_string(), "db1 of orders was removed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn named<Name: Into<Arc<str>>>(
        name: impl Into<Arc<str>>,
        peers: impl IntoIterator<Item = (Name, Target)>,
    ) -> Result<Self, PeersError> {
        Self::of(Some(name.into()), wanted(peers))
    }

    fn of<Wanted: Into<Placed<Target>>>(
        name: Option<Arc<str>>,
        wanted: impl Iterator<Item = (Arc<str>, Option<Wanted>)>,
    ) -> Result<Self, PeersError> {
        let set = Arc::new(Set::new(name));
        set.update(Join::AtOnce, wanted, false, |_, _| false)?;
        Ok(Self {
            set,
            join: Join::AtOnce,
        })
    }

    /// A handle on the same set, through which peers join on proof: they start ejected and due, and
    /// are up once their first probe has succeeded. With [`BalanceLayer::probe`] none takes a request
    /// before that; without it, the first request that one takes is the probe. Default: peers join in
    /// state `Up`.
    ///
    /// So [`add`](Self::add), [`replace_all`](Self::replace_all) and `follow` (feature `discover`)
    /// bring in no peer that does not work. With the latter two, old peers stay until new ones have
    /// proved themselves: for each peer that has, one leaves, and the rest leave once no new peer is
    /// unproved. Those that are out leave before those that are up, and then those of the last
    /// [tier](Self::set_tier) first. Until then they take requests, are
    /// counted and shown, and there may be two peers of one name; methods that take a name mean the new
    /// one, except that `remove` removes both. A further change decides anew about the peers that it names, or with `replace_all` about
    /// all. A new peer that is not wanted any more, and never proved itself, leaves at once.
    ///
    /// [`BalanceLayer::probe`]: crate::BalanceLayer::probe
    ///
    /// ```
    /// use evenhand::{Peers, State};
    ///
    /// let peers = Peers::new([("db0", "10.0.0.1:3306")])?;
    /// peers.joining_on_proof().replace_all([("db1", "10.0.0.2:3306")])?;
    /// let states: Vec<State> = peers.iter().map(|peer| peer.state()).collect();
    /// assert_eq!(states, [State::Up, State::Ejected], "db0 stays until db1 works");
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    pub fn joining_on_proof(&self) -> Self {
        Self {
            join: Join::OnProof,
            ..self.clone()
        }
    }

    /// The set's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.set.registry.pool.as_deref()
    }

    /// The peer of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<Peer<Target>> {
        self.set.peer(name).ok()
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

    /// Adds a peer of weight 1, in state `Up` (or [on proof](Self::joining_on_proof)).
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if the set has a peer of that name.
    pub fn add(&self, name: impl Into<Arc<str>>, target: Target) -> Result<(), PeersError> {
        self.add_placed(name, Placed::new(target))
    }

    /// As [`add`](Self::add), with a weight and a tier.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_placed(
        &self,
        name: impl Into<Arc<str>>,
        placed: Placed<Target>,
    ) -> Result<(), PeersError> {
        let new = self.set.new_placed_peer(name.into(), placed);
        self.set.edit(
            self.join,
            |_| None,
            |peers| {
                if peers.iter().any(|peer| peer.name() == new.name()) {
                    return Err(PeersError::Duplicate(new.shared_name()));
                }
                Ok(peers.iter().chain([&new]).cloned().collect())
            },
        )
    }

    /// Removes a peer. Attempts in flight on it go on; their verdicts are ignored. The target is
    /// dropped when the last of them has ended.
    ///
    /// # Errors
    ///
    /// [`PeersError::Unknown`] if the set has no peer of that name.
    pub fn remove(&self, name: &str) -> Result<(), PeersError> {
        self.set.edit(
            Join::AtOnce,
            |_| None,
            |peers| {
                let others = peers.iter().filter(|peer| peer.name() != name);
                let others: Vec<_> = others.cloned().collect();
                if others.len() == peers.len() {
                    return Err(PeersError::Unknown(name.into()));
                }
                Ok(others)
            },
        )
    }

    /// Replaces all peers at once. A peer that is there already, with the same name and an equal
    /// target, keeps its state, weight and tier. The others are [removed](Self::remove), and new ones
    /// added, in state `Up`; a new one of an old name has the weight and tier of the old one. A request sees either the old peers or the new ones, unless they join
    /// [on proof](Self::joining_on_proof). Targets are compared outside every lock, and again if the set is changed meanwhile.
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
        self.set.update(self.join, wanted(peers), false, Target::eq)
    }

    /// As [`replace_all`](Self::replace_all), for targets that cannot be compared, such as services:
    /// `same` says whether the old target of a name equals the new one. `|_, _| false` makes every peer
    /// a new one. It runs outside every lock, and again if the set is changed meanwhile.
    ///
    /// ```
    /// use evenhand::Peers;
    ///
    /// // A target with a part that cannot be compared.
    /// struct Client { url: &'static str, send: fn() }
    /// # fn send() {}
    ///
    /// let peers = Peers::new([("a", Client { url: "http://10.0.0.1", send })])?;
    /// peers.replace_all_by(
    ///     [
    ///         ("a", Client { url: "http://10.0.0.1", send }),
    ///         ("b", Client { url: "http://10.0.0.2", send }),
    ///     ],
    ///     |old, new| old.url == new.url,
    /// )?;
    /// assert_eq!(peers.len(), 2);
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeersError::Duplicate`] if two peers have the same name; then nothing is changed.
    pub fn replace_all_by<Name: Into<Arc<str>>>(
        &self,
        peers: impl IntoIterator<Item = (Name, Target)>,
        same: impl Fn(&Target, &Target) -> bool,
    ) -> Result<(), PeersError> {
        self.set.update(self.join, wanted(peers), false, same)
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
}

/// Peers as [`Set::update`] takes them.
fn wanted<Name: Into<Arc<str>>, Target>(
    peers: impl IntoIterator<Item = (Name, Target)>,
) -> impl Iterator<Item = (Arc<str>, Option<Target>)> {
    let peers = peers.into_iter();
    peers.map(|(name, target)| (name.into(), Some(target)))
}

/// A set without peers, for those that discovery brings.
impl<Target> Default for Peers<Target> {
    fn default() -> Self {
        Self {
            set: Arc::new(Set::new(None)),
            join: Join::AtOnce,
        }
    }
}

impl<Target> Clone for Peers<Target> {
    fn clone(&self) -> Self {
        Self {
            set: self.set.clone(),
            join: self.join,
        }
    }
}

impl<Target> fmt::Debug for Peers<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peers").field(&self.set).finish()
    }
}
