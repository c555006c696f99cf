//! The peer set as users and operators hold it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tokio::time::Instant;

use crate::event::Events;
use crate::health::Phase;
use crate::set::{Member, Set};

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
        let peers = peers.into_iter().map(|(name, data)| (name.into(), data));
        Ok(Self {
            set: Set::new(peers)?,
        })
    }

    /// How many peers there are, whatever their state.
    pub fn len(&self) -> usize {
        self.set.view().members.len()
    }

    /// Whether there is no peer at all.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// How many peers are up.
    pub fn up(&self) -> usize {
        self.set.view().up.len()
    }

    /// Each peer's state, in the order they were given.
    pub fn statuses(&self) -> Vec<Status> {
        self.set.statuses()
    }

    /// What happens to the peers from now on. Reading is never in a request's way: a reader that
    /// falls far behind loses the oldest events.
    pub fn subscribe(&self) -> Events {
        Events(self.set.subscribe())
    }

    /// The peers themselves, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = Peer<P>> + use<P> {
        let members = self.set.view().members.clone();
        (0..members.len()).map(move |index| Peer(members[index].clone()))
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

/// One peer of a set: its name and, by `Deref`, what was given for it. Cheap to clone.
pub struct Peer<P>(pub(crate) Arc<Member<P>>);

impl<P> Peer<P> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its name, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.0.name.clone()
    }

    /// Its state now.
    pub fn state(&self) -> State {
        self.0.health.read().phase.into()
    }
}

impl<P> Deref for Peer<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0.data
    }
}

impl<P> Clone for Peer<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Shows the name and state, not what was given for the peer: that may hold a secret.
impl<P> fmt::Debug for Peer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish()
    }
}

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
}

impl From<Phase> for State {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Up => Self::Up,
            Phase::Ejected | Phase::Due => Self::Ejected,
            Phase::Probing => Self::Probing,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Probing => "probing",
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
}

/// A peer set that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeersError {
    /// Two peers have this name.
    Duplicate(Arc<str>),
    /// More than 4 294 967 295 peers.
    TooMany,
}

impl fmt::Display for PeersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(name) => write!(f, "two peers are named `{name}`; names are unique"),
            Self::TooMany => f.write_str("a set holds at most 4294967295 peers"),
        }
    }
}

impl std::error::Error for PeersError {}
