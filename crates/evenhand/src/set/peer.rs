//! A peer's handle, and a handle that counts as an attempt in flight.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use super::health::Reading;
use super::ledger::{Counts, Record};
use super::member::Member;
use super::policies::{Policy, PolicyId};
use super::registry::{Change, Registry};
use super::status::State;

/// One peer of a set: its name and, by `Deref`, its target. Cheap to clone.
///
/// A handle keeps the target alive, also after the peer has left the set. The methods here take
/// precedence over the target's methods of the same name: write `(*peer).name()` for those.
pub struct Peer<Target>(Arc<Inner<Target>>);

struct Inner<Target> {
    member: Member,
    registry: Weak<Registry>,
    target: Target,
}

impl<Target> Peer<Target> {
    pub(crate) fn new(member: Member, target: Target, registry: &Arc<Registry>) -> Self {
        Self(Arc::new(Inner {
            member,
            registry: Arc::downgrade(registry),
            target,
        }))
    }

    /// The peer's name.
    pub fn name(&self) -> &str {
        &self.0.member.name
    }

    /// The peer's name, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.0.member.name.clone()
    }

    /// The peer's state now.
    pub fn state(&self) -> State {
        self.0.member.health.read().phase.into()
    }

    #[inline]
    pub(crate) fn member(&self) -> &Member {
        &self.0.member
    }

    #[inline]
    pub(crate) fn is_up(&self) -> bool {
        self.0.member.health.generation_if_up().is_some()
    }

    /// The name of the peer's set, if it has one and is still there.
    pub(crate) fn pool(&self) -> Option<Arc<str>> {
        self.0.registry.upgrade()?.pool.clone()
    }

    /// The policy of this number, if the set is still there.
    pub(crate) fn policy(&self, id: PolicyId) -> Option<Arc<Policy>> {
        self.0.registry.upgrade()?.policies.get(id)
    }

    /// Takes one transition of this peer: see [`Registry::change`]. Takes none if the peer was
    /// removed or its set is gone.
    pub(crate) fn change(
        &self,
        step: impl FnOnce(&mut Option<Record>, Counts) -> Option<Change>,
    ) -> bool {
        let registry = self.0.registry.upgrade();
        registry.is_some_and(|registry| registry.change(&self.0.member, step))
    }

    /// Gives the peer this weight, unless it has it.
    pub(crate) fn change_weight(&self, weight: u32) {
        if self.member().weight() != weight {
            self.change(|_, _| {
                self.member().set_weight(weight);
                Some(Change::Snapshot)
            });
        }
    }

    /// Puts the peer into this tier, unless it is there.
    pub(crate) fn change_tier(&self, tier: u32) {
        if self.member().tier() != tier {
            self.change(|_, _| {
                self.member().set_tier(tier);
                Some(Change::Snapshot)
            });
        }
    }

    /// Claims the probe of this peer: see [`Registry::claim`].
    pub(crate) fn claim(&self) -> Option<Reading> {
        let registry = self.0.registry.upgrade()?;
        registry.claim(&self.0.member)
    }
}

impl<Target> Deref for Peer<Target> {
    type Target = Target;

    #[inline]
    fn deref(&self) -> &Target {
        &self.0.target
    }
}

impl<Target> Clone for Peer<Target> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Shows the name and state, not the target, which may hold a secret.
impl<Target> fmt::Debug for Peer<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish()
    }
}

/// A peer with one attempt counted as in flight on it, until this is dropped.
pub(crate) struct InFlightPeer<Target>(Peer<Target>);

impl<Target> InFlightPeer<Target> {
    #[inline]
    pub(crate) fn new(peer: Peer<Target>) -> Self {
        Self::numbered(peer).0
    }

    /// And the attempt's number: see [`InFlight::enter`](super::in_flight::InFlight::enter).
    #[inline]
    pub(crate) fn numbered(peer: Peer<Target>) -> (Self, u32) {
        let number = peer.member().in_flight.enter();
        (Self(peer), number)
    }
}

impl<Target> Deref for InFlightPeer<Target> {
    type Target = Peer<Target>;

    #[inline]
    fn deref(&self) -> &Peer<Target> {
        &self.0
    }
}

impl<Target> Clone for InFlightPeer<Target> {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<Target> Drop for InFlightPeer<Target> {
    #[inline]
    fn drop(&mut self) {
        self.0.member().leave();
    }
}
