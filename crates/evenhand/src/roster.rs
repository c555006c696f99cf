//! The members as balancers hold them between two changes of membership, and which of them are up.
//!
//! A request's first pick reads this and nothing else, so that it takes no reference count and no
//! guard that others share. Which members are up is changed in place: a list of indexes that every
//! reader may see half changed. That is enough for a draw, since whoever was drawn has its word
//! read before it gets the attempt, and the word is what counts (see [`health`](crate::health)).
//! What needs more than a draw (a peer that is due, a weight, a clock) finds the list empty, and
//! goes by the [`View`](crate::view::View). When members come or go the roster is replaced, and
//! stays empty from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::health::Phase;
use crate::member::Member;
use crate::peer::leave;
use crate::random::Random;

pub(crate) struct Roster<P> {
    members: Box<[Arc<Member<P>>]>,
    /// Indexes of members. The first `drawn` of them are up.
    up: Box<[AtomicU32]>,
    /// Nought where a pick has more to look at.
    drawn: AtomicU32,
    replaced: AtomicBool,
}

impl<P> Roster<P> {
    /// Nobody is drawn until [`show`](Self::show) says who may be.
    pub(crate) fn new(members: Vec<Arc<Member<P>>>) -> Arc<Self> {
        Arc::new(Self {
            up: members.iter().map(|_| AtomicU32::new(0)).collect(),
            members: members.into(),
            drawn: AtomicU32::new(0),
            replaced: AtomicBool::new(false),
        })
    }

    /// The members, in the order they were added.
    pub(crate) fn members(&self) -> &[Arc<Member<P>>] {
        &self.members
    }

    /// The members at these indexes.
    pub(crate) fn at(&self, indexes: &[u32]) -> impl Iterator<Item = &Arc<Member<P>>> {
        indexes
            .iter()
            .filter_map(|&index| self.members.get(index as usize))
    }

    /// From now on one of these is drawn. Called by one writer at a time.
    pub(crate) fn show(&self, up: &[u32]) {
        for (slot, index) in self.up.iter().zip(up) {
            slot.store(*index, Ordering::Relaxed);
        }
        self.drawn.store(up.len() as u32, Ordering::Release);
    }

    /// From now on nobody is drawn.
    pub(crate) fn hide(&self) {
        self.drawn.store(0, Ordering::Release);
    }

    /// Another roster takes its place.
    pub(crate) fn replace(&self) {
        self.replaced.store(true, Ordering::Release);
        self.hide();
    }

    #[inline]
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// A uniform draw, with the attempt counted as under way on whoever was drawn. `None` if the
    /// pick needs more thought than that.
    #[inline]
    pub(crate) fn enter(&self, random: &Random) -> Option<Entered<'_, P>> {
        let drawn = self.drawn.load(Ordering::Acquire);
        if drawn == 0 {
            return None;
        }
        let slot = self.up.get(random.below(drawn as usize))?;
        let index = slot.load(Ordering::Relaxed);
        let member = self.members.get(index as usize)?;
        // Counted before its word is read: see `InFlight`.
        member.in_flight.enter();
        let mut entered = Entered {
            member,
            index,
            generation: 0,
        };
        let now = member.health.read();
        entered.generation = now.generation;
        // Otherwise it is taken out this moment.
        (now.phase == Phase::Up).then_some(entered)
    }

    /// The member of an entry of this roster.
    #[inline]
    pub(crate) fn member(&self, entry: Entry) -> Option<&Arc<Member<P>>> {
        self.members.get(entry.index as usize)
    }
}

/// An attempt that is counted as under way on a member, until this is dropped.
pub(crate) struct Entered<'a, P> {
    pub(crate) member: &'a Arc<Member<P>>,
    index: u32,
    /// Of the member's word when it was picked.
    pub(crate) generation: u32,
}

impl<'a, P> Entered<'a, P> {
    /// Takes back what [`keep`](Self::keep) gave; `member` is the entry's.
    #[inline]
    pub(crate) fn resume(member: &'a Arc<Member<P>>, entry: Entry) -> Self {
        let Entry { index, generation } = entry;
        Self {
            member,
            index,
            generation,
        }
    }

    /// Leaves the attempt counted, for [`resume`](Self::resume) to take back.
    #[inline]
    pub(crate) fn keep(self) -> Entry {
        let entry = Entry {
            index: self.index,
            generation: self.generation,
        };
        std::mem::forget(self);
        entry
    }
}

impl<P> Drop for Entered<'_, P> {
    #[inline]
    fn drop(&mut self) {
        leave(self.member);
    }
}

/// An attempt that was counted as under way on a member of a roster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    index: u32,
    pub(crate) generation: u32,
}
