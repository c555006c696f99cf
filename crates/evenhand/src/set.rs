//! The peer set's shared state: who is up (read by every pick) and who is due when (written by the
//! few transitions).
//!
//! Picks read an immutable [`View`] that is swapped whole, or where a draw is all they need its
//! [`Roster`], so they take no lock and cost the same whatever the number of peers. Transitions are
//! rare: each takes the book's lock, changes the peer's [`Health`](crate::health) word, publishes a
//! new view and queues its event, in that order. So views and events agree with the words, and no
//! reader waits.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use crate::book::{Book, Change, Counts, Record};
use crate::error::PeersError;
use crate::event::{CAPACITY, Event, EventKind};
use crate::health::Phase;
use crate::member::Member;
use crate::policy::Policies;
use crate::roster::Roster;
use crate::status::{State, Status};
use crate::view::View;

pub(crate) struct Set<P> {
    view: ArcSwap<View<P>>,
    book: Mutex<Book<P>>,
    events: broadcast::Sender<Event>,
    /// Woken when a peer turns `Due` or `Up`, and when peers are added or removed.
    pub(crate) available: Arc<Notify>,
    pub(crate) policies: Policies<P>,
}

impl<P> Set<P> {
    pub(crate) fn new() -> Arc<Self> {
        let book = Book::new();
        Arc::new(Self {
            view: ArcSwap::from_pointee(View::new(&book)),
            book: Mutex::new(book),
            events: broadcast::Sender::new(CAPACITY),
            available: Arc::default(),
            policies: Policies::default(),
        })
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

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// The members, in the order they were added.
    pub(crate) fn members(&self) -> Vec<Arc<Member<P>>> {
        self.view().roster.members().to_vec()
    }

    pub(crate) fn member(&self, name: &str) -> Result<Arc<Member<P>>, PeersError> {
        let view = self.view();
        let member = view.roster.members().iter().find(|m| *m.name == *name);
        member
            .cloned()
            .ok_or_else(|| PeersError::Unknown(name.into()))
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        let status = |(member, record): (&Arc<Member<P>>, Option<&Record>)| {
            let state = State::from(member.health.read().phase);
            let due = record.and_then(|record| record.due);
            Status {
                peer: member.name.clone(),
                state,
                next_probe: due.filter(|_| state == State::Ejected),
                in_flight: member.in_flight.count(),
                weight: member.weight(),
            }
        };
        self.book().entries().map(status).collect()
    }

    /// When the next ejected peer is due, if any is ejected.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.statuses()
            .into_iter()
            .filter_map(|status| status.next_probe)
            .min()
    }

    /// The ejected member that is due soonest, of those that no operator has ejected.
    pub(crate) fn due_soonest(&self, excluded: &[u32]) -> Option<Arc<Member<P>>> {
        let book = self.book();
        let due = |(member, record): (&Arc<Member<P>>, Option<&Record>)| {
            let record = record.filter(|record| !record.by_hand)?;
            let out = member.health.read().phase == Phase::Ejected;
            let free = out && !excluded.contains(&member.id);
            record.due.filter(|_| free).map(|due| (due, member.clone()))
        };
        let soonest = book.entries().filter_map(due).min_by_key(|(due, _)| *due);
        soonest.map(|(_, member)| member)
    }

    /// Ejected peers whose time came without a timer to say so become due. `all` also takes those
    /// whose timer is late: it cannot fire while the runtime does not turn.
    pub(crate) fn ripen_overdue(&self, all: bool) {
        let now = Instant::now();
        let overdue = |record: &Record| {
            !record.background && (all || !record.timed) && record.due.is_some_and(|due| due <= now)
        };
        let ripe: Vec<Arc<Member<P>>> = self
            .book()
            .entries()
            .filter(|(_, record)| record.is_some_and(overdue))
            .map(|(member, _)| member.clone())
            .collect();
        for member in ripe {
            let reading = member.health.read();
            self.change(&member, |record, _| {
                // It may have been ejected anew since it was listed.
                record.due.filter(|due| *due <= now)?;
                member.health.ripen(reading.generation).map(|_| Change::Due)
            });
        }
    }

    /// Those ejected members whose time no timer will tell and is more than `margin` away: the
    /// caller sets one for each.
    pub(crate) fn adopt_untimed(&self, margin: Duration) -> Vec<(Arc<Member<P>>, u32, Instant)> {
        let mut book = self.book();
        let soon = Instant::now() + margin;
        let Book {
            roster, records, ..
        } = &mut *book;
        let mut adopted = Vec::new();
        for (member, record) in roster.members().iter().zip(records) {
            let now = member.health.read();
            if let Some(record) = record
                && now.phase == Phase::Ejected
                && !record.timed
                && !record.adopted
                && let Some(due) = record.due.filter(|due| *due > soon)
            {
                record.adopted = true;
                adopted.push((member.clone(), now.generation, due));
            }
        }
        adopted
    }

    /// Takes one transition of one member: `step` changes the word and the record, or declines.
    pub(crate) fn change(
        &self,
        member: &Member<P>,
        step: impl FnOnce(&mut Record, Counts) -> Option<Change>,
    ) -> bool {
        let mut book = self.book();
        let counts = Counts {
            up: self.view.load().up.len(),
            members: book.records.len(),
        };
        let members = book.roster.members();
        let Some(index) = members.iter().position(|m| m.id == member.id) else {
            return false;
        };
        let record = &mut book.records[index];
        let mut new = record.as_deref().copied().unwrap_or_default();
        let change = step(&mut new, counts);
        *record = new.due.is_some().then(|| Box::new(new));
        let Some(change) = change else { return false };
        self.publish(book, member, change);
        true
    }

    /// Adds and removes members in one go: the new names must be unique, but for those removed.
    pub(crate) fn edit(
        self: &Arc<Self>,
        remove: impl Fn(&Member<P>) -> bool,
        add: Vec<(Arc<str>, P)>,
    ) -> Result<(), PeersError> {
        let mut book = self.book();
        let mut names: Vec<&Arc<str>> = add.iter().map(|(name, _)| name).collect();
        let present = book.roster.members().iter();
        names.extend(present.filter(|m| !remove(m)).map(|member| &member.name));
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PeersError::Duplicate(twice[0].clone()));
        }
        // Keeps what was given for those that leave, whose drop is not ours, until the book is free.
        let mut changed = Vec::new();
        // Not ours either, so it is asked before the book is touched.
        let gone: Vec<bool> = book.roster.members().iter().map(|m| remove(m)).collect();
        let mut members = Vec::with_capacity(names.len());
        let mut records = Vec::with_capacity(names.len());
        let old = std::mem::take(&mut book.records);
        for ((member, record), gone) in book.roster.members().iter().zip(old).zip(gone) {
            if gone {
                // Whoever still holds it takes it for drained: nothing new, nothing to learn.
                member.health.drain();
                changed.push((member.clone(), EventKind::Removed));
            } else {
                members.push(member.clone());
                records.push(record);
            }
        }
        for (name, data) in add {
            let id = book.next_id;
            book.next_id = id.wrapping_add(1);
            let member = Arc::new(Member::new(id, name, data, Arc::downgrade(self)));
            changed.push((member.clone(), EventKind::Added));
            members.push(member);
            records.push(None);
        }
        book.records = records;
        let replaced = std::mem::replace(&mut book.roster, Roster::new(members));
        self.view.store(Arc::new(View::new(&book)));
        replaced.replace();
        let told: Vec<Event> = changed
            .iter()
            .map(|(m, kind)| Event::now(m, *kind))
            .collect();
        told.iter().for_each(|event| self.send(event));
        drop(book);
        self.available.notify_waiters();
        told.iter().for_each(Event::trace);
        Ok(())
    }

    /// Lets readers see a change that was made, lets go of the book, and tells whom it concerns.
    fn publish(&self, book: MutexGuard<'_, Book<P>>, member: &Member<P>, change: Change) {
        self.view.store(Arc::new(View::new(&book)));
        let told = match change {
            Change::Told(kind) => Some(Event::now(member, kind)),
            Change::Due | Change::Timing | Change::Quiet => None,
        };
        told.iter().for_each(|event| self.send(event));
        drop(book);

        match change {
            Change::Told(EventKind::Ejected { .. } | EventKind::ProbeFailed { .. }) => {
                member.wake();
            }
            Change::Told(EventKind::ProbeStarted) | Change::Timing => {}
            Change::Told(EventKind::ProbeAbandoned) => {
                // Out still, and no longer by this probe: whoever holds its tickets must know.
                member.wake();
                self.available.notify_waiters();
            }
            Change::Told(_) | Change::Due | Change::Quiet => self.available.notify_waiters(),
        }
        told.iter().for_each(Event::trace);
    }

    fn send(&self, event: &Event) {
        if self.events.receiver_count() > 0 {
            // Fails only if the last reader has just gone.
            let _ = self.events.send(event.clone());
        }
    }

    fn book(&self) -> MutexGuard<'_, Book<P>> {
        // The book is whole between any two statements that could panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> fmt::Debug for Set<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::thread;

    use tower::{Layer, Service, service_fn};

    use crate::attempt::Attempt;
    use crate::layer::BalanceLayer;
    use crate::peers::Peers;
    use crate::pick::{LeastInFlight, Pick};

    /// Whether three requests are answered while somebody has the lock.
    fn is_served(peers: &Peers<u32>, pick: impl Pick + Clone + Send + Sync + 'static) -> bool {
        let layer = BalanceLayer::new(peers.clone()).pick(pick);
        let connector = |attempt: Attempt<u32, ()>| ready(Ok::<u32, ()>(*attempt.peer));
        let mut balance = layer.layer(service_fn(connector));
        let _locked = peers.set.book();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut cx = Context::from_waker(Waker::noop());
            let mut served = || matches!(pin!(balance.call(())).poll(&mut cx), Poll::Ready(Ok(_)));
            let all = served() && served() && served();
            tell.send(all)
        });
        told.recv_timeout(Duration::from_secs(5)).unwrap_or(false)
    }

    #[test]
    fn a_request_that_its_first_peer_settles_takes_no_lock() {
        let peers = Peers::new([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        assert!(is_served(&peers, crate::pick::Uniform));
        assert!(is_served(&peers, LeastInFlight));
    }
}
