//! What transitions write, under the set's lock: the members, and a record of each that is out.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::event::EventKind;
use crate::member::Member;
use crate::roster::Roster;

/// Who is a member, and what is known of those that are out.
pub(crate) struct Book<P> {
    pub(crate) roster: Arc<Roster<P>>,
    /// One for each member. Boxed, as few members are ejected at a time.
    pub(crate) records: Vec<Option<Box<Record>>>,
    pub(crate) next_id: u32,
}

impl<P> Book<P> {
    pub(crate) fn new() -> Self {
        Self {
            roster: Roster::new(Vec::new()),
            records: Vec::new(),
            next_id: 0,
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Arc<Member<P>>, Option<&Record>)> {
        let records = self.records.iter().map(Option::as_deref);
        self.roster.members().iter().zip(records)
    }
}

/// How many members are up, of how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) up: usize,
    pub(crate) members: usize,
}

/// What the set knows of an ejected member beside its word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    /// When its next probe is due. Meaningful while it is ejected.
    pub(crate) due: Option<Instant>,
    /// A timer runs that will act at that time.
    pub(crate) timed: bool,
    /// A timer was set that does not run yet: it may have to wait for its turn.
    pub(crate) adopted: bool,
    /// At that time a background probe goes out, so attempts leave the member alone.
    pub(crate) background: bool,
    /// Ejected by an operator, so it is nobody's last resort.
    pub(crate) by_hand: bool,
}

impl Record {
    /// Due after `interval`; by a timer if there is a runtime for one.
    pub(crate) fn due_in(interval: Duration, background: bool) -> Self {
        let timed = Handle::try_current().is_ok();
        Self {
            due: Some(Instant::now() + interval),
            timed,
            adopted: false,
            background: timed && background,
            by_hand: false,
        }
    }

    /// What the timer is to be set to, if there is to be one.
    pub(crate) fn alarm(&self, generation: u32) -> Option<(u32, Instant)> {
        self.due.filter(|_| self.timed).map(|due| (generation, due))
    }
}

/// A transition that took place.
pub(crate) enum Change {
    /// Worth an event.
    Told(EventKind),
    /// An ejected peer's time has come.
    Due,
    /// Who tells when an ejected peer's time has come: a timer, or picks that look at the clock.
    Timing,
    /// Only what picks see has changed.
    Quiet,
}
