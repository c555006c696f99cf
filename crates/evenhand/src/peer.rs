//! Handles on one peer: a plain one, and one that counts as an attempt under way.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::health::Phase;
use crate::member::Member;
use crate::status::State;

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

/// A peer with one attempt counted as under way on it.
pub(crate) struct Occupied<P>(Peer<P>);

impl<P> Occupied<P> {
    pub(crate) fn new(peer: Peer<P>) -> Self {
        peer.0.in_flight.enter();
        Self(peer)
    }

    /// For an attempt that is counted already.
    pub(crate) fn counted(peer: Peer<P>) -> Self {
        Self(peer)
    }

    pub(crate) fn peer(&self) -> &Peer<P> {
        &self.0
    }

    pub(crate) fn member(&self) -> &Arc<Member<P>> {
        &self.0.0
    }
}

impl<P> Deref for Occupied<P> {
    type Target = Member<P>;

    fn deref(&self) -> &Member<P> {
        &self.0.0
    }
}

impl<P> Clone for Occupied<P> {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<P> Drop for Occupied<P> {
    #[inline]
    fn drop(&mut self) {
        leave(self.member());
    }
}

/// One attempt fewer is under way on the member; a drain may have waited for it.
#[inline]
pub(crate) fn leave<P>(member: &Member<P>) {
    if member.in_flight.leave() && member.health.read().phase == Phase::Draining {
        wake(member);
    }
}

#[cold]
#[inline(never)]
fn wake<P>(member: &Member<P>) {
    member.wake();
}
