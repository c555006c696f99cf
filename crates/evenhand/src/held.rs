//! What a request holds of the peer that its attempt is on.
//!
//! Most requests are settled by their first attempt, and hold no more of its peer than where it
//! stands in the roster that they share. Any other holds a [`Place`].

use std::sync::Arc;

use crate::member::Member;
use crate::place::Place;
use crate::roster::{Entered, Entry, Roster};

/// Kept while the attempt is under way. The light one is no guard: only the request has the roster
/// that it needs, and gives it back, also on drop.
pub(crate) enum Held<P> {
    Light(Entry),
    Full(Place<P>),
}

impl<P> Held<P> {
    /// A place that stands without the roster. (`None` is no entry of this roster.)
    pub(crate) fn into_place(self, roster: &Roster<P>) -> Option<Place<P>> {
        match self {
            Self::Light(entry) => {
                let member = roster.member(entry)?;
                Some(Entered::resume(member, entry).into_place())
            }
            Self::Full(place) => Some(place),
        }
    }

    /// The member it is on.
    pub(crate) fn member<'a>(&'a self, roster: &'a Roster<P>) -> Option<&'a Arc<Member<P>>> {
        match self {
            Self::Light(entry) => roster.member(*entry),
            Self::Full(place) => Some(place.member()),
        }
    }
}

impl<P> Entered<'_, P> {
    /// A place that stands without the roster.
    pub(crate) fn into_place(self) -> Place<P> {
        let member = self.member.clone();
        Place::counted(member, self.keep().generation)
    }
}
