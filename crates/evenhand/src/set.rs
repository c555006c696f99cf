//! The peer set's shared state: who is up (read by every pick) and who is due when (written by the
//! few transitions).
//!
//! Picks read an immutable [`View`] that is swapped whole, so they take no lock and cost the same
//! whatever the number of peers. Transitions are rare: each takes the book's lock, changes the
//! peer's [`Health`] word, publishes a new view and queues its event, in that order. So views and
//! events agree with the words, and no reader waits.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use crate::event::{CAPACITY, Event, EventKind};
use crate::health::{Health, Phase, Reading};
use crate::peers::{PeersError, State, Status};

/// A peer as the set holds it.
pub(crate) struct Member<P> {
    pub(crate) name: Arc<str>,
    pub(crate) index: u32,
    pub(crate) data: P,
    pub(crate) health: Health,
    /// Woken when the peer is ejected.
    pub(crate) ejected: Notify,
    set: Weak<Set<P>>,
}

/// What picks see.
pub(crate) struct View<P> {
    pub(crate) members: Arc<[Arc<Member<P>>]>,
    /// Indexes of the members that are up.
    pub(crate) up: Box<[u32]>,
    /// Indexes of the members that wait for an attempt to probe them.
    pub(crate) due: Box<[u32]>,
    /// Some member is ejected and no timer will tell when it is due, so picks must look.
    pub(crate) untimed: bool,
}

/// What the set knows of an ejected member beside its word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    /// When its next probe is due. Meaningful while it is ejected.
    pub(crate) due: Option<Instant>,
    /// A timer runs that will act at that time.
    pub(crate) timed: bool,
    /// At that time a background probe goes out, so attempts leave the member alone.
    pub(crate) background: bool,
}

/// A transition that took place.
pub(crate) enum Change {
    /// Worth an event.
    Told(EventKind),
    /// An ejected peer's time has come.
    Due,
    /// From now on picks look at the clock to see when an ejected peer's time has come.
    Untimed,
}

pub(crate) struct Set<P> {
    view: ArcSwap<View<P>>,
    book: Mutex<Vec<Record>>,
    events: broadcast::Sender<Event>,
    /// Woken when a peer turns `Due` or `Up`.
    pub(crate) available: Arc<Notify>,
}

impl<P> Set<P> {
    pub(crate) fn new(peers: impl Iterator<Item = (Arc<str>, P)>) -> Result<Arc<Self>, PeersError> {
        let peers: Vec<(Arc<str>, P)> = peers.collect();
        let mut names: Vec<&Arc<str>> = peers.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PeersError::Duplicate(twice[0].clone()));
        }
        let count = u32::try_from(peers.len()).map_err(|_| PeersError::TooMany)?;
        Ok(Arc::new_cyclic(|set| {
            let members: Arc<[Arc<Member<P>>]> = (0..count)
                .zip(peers)
                .map(|(index, (name, data))| {
                    Arc::new(Member {
                        name,
                        index,
                        data,
                        health: Health::new(),
                        ejected: Notify::new(),
                        set: set.clone(),
                    })
                })
                .collect();
            let book = vec![Record::default(); members.len()];
            Self {
                view: ArcSwap::from_pointee(View::new(members, &book)),
                book: Mutex::new(book),
                events: broadcast::Sender::new(CAPACITY),
                available: Arc::default(),
            }
        }))
    }

    /// The present view. Cheap; not to be held for long.
    pub(crate) fn view(&self) -> arc_swap::Guard<Arc<View<P>>> {
        self.view.load()
    }

    /// Waits for the transition that is under way, if one is, and gives the view after it.
    pub(crate) fn settled_view(&self) -> arc_swap::Guard<Arc<View<P>>> {
        drop(self.book());
        self.view.load()
    }

    /// Whether the set has no member at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.view.load().members.is_empty()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        let book = self.book();
        let view = self.view.load();
        let status = |member: &Arc<Member<P>>| {
            let state = State::from(member.health.read().phase);
            let due = book
                .get(member.index as usize)
                .and_then(|record| record.due);
            Status {
                peer: member.name.clone(),
                state,
                next_probe: due.filter(|_| state == State::Ejected),
            }
        };
        view.members.iter().map(status).collect()
    }

    /// When the next ejected peer is due, if any is ejected.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.statuses()
            .into_iter()
            .filter_map(|status| status.next_probe)
            .min()
    }

    /// Ejected peers whose time came without a timer to say so become due. `all` also takes those
    /// whose timer is late: it cannot fire while the runtime does not turn.
    pub(crate) fn ripen_overdue(&self, all: bool) {
        let now = Instant::now();
        let overdue = |record: &Record| {
            !record.background && (all || !record.timed) && record.due.is_some_and(|due| due <= now)
        };
        let view = self.view.load_full();
        let book = self.book();
        let ripe: Vec<u32> = (0_u32..)
            .zip(book.iter())
            .filter(|(_, r)| overdue(r))
            .map(|(i, _)| i)
            .collect();
        drop(book);
        for member in ripe
            .iter()
            .filter_map(|&index| view.members.get(index as usize))
        {
            let reading = member.health.read();
            if reading.phase == Phase::Ejected {
                self.change(member, |_| {
                    member.health.ripen(reading.generation).map(|_| Change::Due)
                });
            }
        }
    }

    /// Takes one transition of one member: `step` changes the word and the record, or declines.
    pub(crate) fn change(
        &self,
        member: &Member<P>,
        step: impl FnOnce(&mut Record) -> Option<Change>,
    ) -> bool {
        let mut book = self.book();
        let Some(record) = book.get_mut(member.index as usize) else {
            return false;
        };
        let Some(change) = step(record) else {
            return false;
        };
        let members = self.view.load().members.clone();
        self.view.store(Arc::new(View::new(members, &book)));
        if let Change::Told(kind) = change {
            // Without a reader there is nobody to tell.
            let _ = self.events.send(Event {
                peer: member.name.clone(),
                kind,
            });
        }
        drop(book);

        match change {
            Change::Told(EventKind::Ejected { .. } | EventKind::ProbeFailed { .. }) => {
                member.ejected.notify_waiters();
            }
            Change::Told(EventKind::Recovered | EventKind::ProbeAbandoned) | Change::Due => {
                self.available.notify_waiters();
            }
            Change::Told(EventKind::ProbeStarted) | Change::Untimed => {}
        }
        if let Change::Told(kind) = change {
            Event {
                peer: member.name.clone(),
                kind,
            }
            .trace();
        }
        true
    }

    fn book(&self) -> MutexGuard<'_, Vec<Record>> {
        // The book is whole between any two statements that could panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> View<P> {
    fn new(members: Arc<[Arc<Member<P>>]>, book: &[Record]) -> Self {
        let phases = || {
            members
                .iter()
                .map(|member| (member.index, member.health.read().phase))
        };
        let indexes = |wanted| {
            phases()
                .filter(|(_, p)| *p == wanted)
                .map(|(i, _)| i)
                .collect()
        };
        let (up, due) = (indexes(Phase::Up), indexes(Phase::Due));
        let untimed = phases()
            .zip(book)
            .any(|((_, p), record)| p == Phase::Ejected && !record.timed);
        Self {
            members,
            up,
            due,
            untimed,
        }
    }

    pub(crate) fn member(&self, index: u32) -> Option<&Arc<Member<P>>> {
        self.members.get(index as usize)
    }
}

impl<P> Member<P> {
    /// Takes one transition of this member, unless its set is gone.
    pub(crate) fn change(&self, step: impl FnOnce(&mut Record) -> Option<Change>) -> bool {
        self.set.upgrade().is_some_and(|set| set.change(self, step))
    }

    /// Claims the probe's place, `early` also before the peer's time.
    pub(crate) fn claim(&self, early: bool) -> Option<Reading> {
        let mut claimed = None;
        self.change(|_| {
            claimed = self.health.claim(early);
            claimed.map(|_| Change::Told(EventKind::ProbeStarted))
        });
        claimed
    }
}

impl<P> fmt::Debug for Set<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}
