//! What picks read: who is up and who is due at one moment, swapped whole at each transition.

use std::sync::Arc;

use crate::book::Book;
use crate::health::Phase;
use crate::member::Member;
use crate::pick::running_weights;
use crate::roster::Roster;

/// What picks see.
pub(crate) struct View<P> {
    /// The members, whatever their state.
    pub(crate) roster: Arc<Roster<P>>,
    /// The members that are up, by their indexes in the roster.
    pub(crate) up: Box<[u32]>,
    /// The members that wait for an attempt to probe them, likewise.
    pub(crate) due: Box<[u32]>,
    /// Running totals of the weights of `up`; empty while all weigh the same.
    pub(crate) weights: Box<[u64]>,
    /// Some member is ejected and no timer will tell when it is due, so picks must look.
    pub(crate) untimed: bool,
}

impl<P> View<P> {
    /// What the book says. Lets the roster show who may be drawn, too.
    pub(crate) fn new(book: &Book<P>) -> Self {
        let mut up = Vec::with_capacity(book.records.len());
        let mut due = Vec::new();
        let mut untimed = false;
        for (index, (member, record)) in (0..).zip(book.entries()) {
            match member.health.read().phase {
                Phase::Up => up.push(index),
                Phase::Due => due.push(index),
                Phase::Ejected => untimed |= record.is_none_or(|record| !record.timed),
                Phase::Probing | Phase::Draining => {}
            }
        }
        let roster = book.roster.clone();
        let equal = {
            let mut all = roster.at(&up).map(|member| member.weight());
            let first = all.next().unwrap_or(1);
            first > 0 && all.all(|weight| weight == first)
        };
        let weights = if equal {
            Vec::new()
        } else {
            running_weights(&roster, &up)
        };
        if untimed || !due.is_empty() {
            roster.hide();
        } else {
            roster.show(&up);
        }
        Self {
            roster,
            up: up.into(),
            due: due.into(),
            weights: weights.into(),
            untimed,
        }
    }

    /// How many members there are, whatever their state.
    pub(crate) fn members(&self) -> usize {
        self.roster.members().len()
    }

    /// The peers that are up.
    pub(crate) fn up(&self) -> impl Iterator<Item = &Arc<Member<P>>> {
        self.roster.at(&self.up)
    }
}
