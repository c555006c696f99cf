//! The registry of a set: the lock under which peers change state, and what follows from a change.
//!
//! Transitions are rare. Each takes the lock, changes the peer's [`Health`](super::health) word,
//! notes when the peer is due and queues the event, in that order. So due times, counts and events
//! agree with the words. The registry knows nothing of the peers' type, so that a peer can hold it.
//!
//! Picks do not take the lock. They read one number, [`Registry::needs_look`]: it tells whether an
//! ejected peer may be due for a probe or the [snapshot](super::snapshot) is out of date.
//! While all peers are up, it is `NEVER`, and a pick reads no clock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::health::{Phase, Reading};
use super::ledger::{Counts, Ledger, Record};
use super::member::Member;
use super::policies::Policies;
use super::ramps::Ramping;
use crate::event::{CAPACITY, Event, EventKind};

/// No pick needs to look.
const NEVER: u64 = u64::MAX;

/// No peer is due, and nothing is out of date, but picks look, as some peers ramp.
const LATER: u64 = NEVER - 1;

/// The next pick is to look, whatever the time.
const NOW: u64 = 0;

/// How many of the peers that are due a pick chooses from.
const DUE_SHOWN: usize = 16;

pub(crate) struct Registry {
    /// The set's name, if it has one.
    pub(crate) pool: Option<Arc<str>>,
    ledger: Mutex<Ledger>,
    /// When the next pick is to look: nanoseconds since `epoch`, or `NOW`, `LATER` or `NEVER`.
    look_at: AtomicU64,
    pub(crate) ramping: Ramping,
    epoch: Instant,
    up: AtomicUsize,
    /// How many tasks check peers that are up.
    checkers: AtomicUsize,
    events: broadcast::Sender<Event>,
    /// The queue of requests that found no peer. One is woken when a peer comes back.
    pub(crate) available: Arc<Notify>,
    /// Woken when due times change, so that background probers look again.
    pub(crate) due_changed: Notify,
    pub(crate) policies: Policies,
}

/// A transition that took place.
pub(crate) enum Change {
    /// It is worth an event.
    Event(EventKind),
    /// Only the snapshot is out of date.
    Snapshot,
    /// A probe is due sooner.
    Due,
}

impl Registry {
    pub(crate) fn new(pool: Option<Arc<str>>) -> Self {
        Self {
            pool,
            ledger: Mutex::default(),
            look_at: AtomicU64::new(NEVER),
            ramping: Ramping::default(),
            epoch: Instant::now(),
            up: AtomicUsize::new(0),
            checkers: AtomicUsize::new(0),
            events: broadcast::Sender::new(CAPACITY),
            available: Arc::default(),
            due_changed: Notify::new(),
            policies: Policies::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How many peers are up.
    pub(crate) fn up(&self) -> usize {
        self.up.load(Ordering::Acquire)
    }

    /// Whether a pick must look at the clock or the snapshot before it draws.
    #[inline]
    pub(crate) fn needs_look(&self) -> bool {
        self.look_at.load(Ordering::Relaxed) != NEVER
    }

    /// Whether the snapshot is to be made anew.
    #[inline]
    pub(crate) fn needs_refresh(&self) -> bool {
        self.look_at.load(Ordering::Relaxed) == NOW
    }

    /// Whether some ejected peer is due to be probed by a pick.
    #[inline]
    pub(crate) fn any_due(&self) -> bool {
        let look_at = self.look_at.load(Ordering::Relaxed);
        look_at < LATER && look_at <= self.now()
    }

    /// The ids of some peers that are due to be probed by a pick, of those that `may` allows.
    pub(crate) fn due_for_picks(&self, may: impl Fn(u64) -> bool) -> Vec<u64> {
        let ledger = self.lock();
        if ledger.probers > 0 {
            return Vec::new();
        }
        let due = ledger.due_by(Instant::now()).filter(|id| may(*id));
        due.take(DUE_SHOWN).collect()
    }

    /// The ids of the peers that are due to be probed in the background, and when the next one is.
    pub(crate) fn due_for_probers(&self) -> (Vec<u64>, Option<Instant>) {
        let (ledger, now) = (self.lock(), Instant::now());
        let due = ledger.due_by(now).collect();
        let mut times = ledger.schedule().iter().map(|(due, _)| *due);
        (due, times.find(|due| *due > now))
    }

    /// Whether the next snapshot is to be without some peers.
    pub(crate) fn any_may_leave(&self) -> bool {
        self.lock().may_leave() > 0
    }

    /// When the next ejected peer is due, if one is ejected.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.lock().schedule().first().map(|(due, _)| *due)
    }

    /// When the next ejected peer that `may` allows is due to be probed by a pick.
    pub(crate) fn next_due_for_picks(&self, may: impl Fn(u64) -> bool) -> Option<Instant> {
        let ledger = self.lock();
        let mut due = ledger.schedule().iter().filter(|_| ledger.probers == 0);
        due.find(|(_, id)| may(*id)).map(|(due, _)| *due)
    }

    /// Keeps those of these peers to which requests may go although they are out.
    pub(crate) fn retain_open(&self, peers: &mut Vec<u32>, id: impl Fn(u32) -> u64) {
        let (ledger, now) = (self.lock(), Instant::now());
        peers.retain(|peer| ledger.may_open(id(*peer), now));
    }

    /// A request waits for a peer. While none is up, probes come sooner.
    pub(crate) fn add_waiter(&self) {
        self.change_waiters(|waiters| waiters + 1);
    }

    /// The request waits no more. If a peer is up, the next two in the queue are let in: so they
    /// come in growing numbers, and not all at once. If none is, the request may have left a probe.
    pub(crate) fn remove_waiter(&self) {
        self.change_waiters(|waiters| waiters - 1);
        self.available.notify_one();
        if self.up() > 0 {
            self.available.notify_one();
        }
    }

    /// How many peers there are for each request that waits; at least one.
    pub(crate) fn share_of_peers(&self) -> usize {
        let ledger = self.lock();
        ledger.members.div_ceil(ledger.waiters.max(1)).max(1)
    }

    fn change_waiters(&self, change: impl FnOnce(usize) -> usize) {
        let mut ledger = self.lock();
        let before = ledger.has_demand();
        ledger.waiters = change(ledger.waiters);
        if ledger.has_demand() != before {
            self.publish(&ledger);
            drop(ledger);
            self.due_changed.notify_waiters();
        }
    }

    /// Whether peers that are up are checked.
    pub(crate) fn is_checked(&self) -> bool {
        self.checkers.load(Ordering::Relaxed) > 0
    }

    /// A task checks peers that are up from now on.
    pub(crate) fn add_checker(&self) {
        self.checkers.fetch_add(1, Ordering::Relaxed);
    }

    /// That task has ended.
    pub(crate) fn remove_checker(&self) {
        self.checkers.fetch_sub(1, Ordering::Relaxed);
    }

    /// A task probes ejected peers in the background from now on.
    pub(crate) fn add_prober(&self) {
        let mut ledger = self.lock();
        ledger.probers += 1;
        self.publish(&ledger);
    }

    /// That task has ended.
    pub(crate) fn remove_prober(&self) {
        let mut ledger = self.lock();
        ledger.probers -= 1;
        self.publish(&ledger);
        drop(ledger);
        // Requests that wait may have to probe for themselves.
        self.available.notify_waiters();
    }

    /// Takes one transition of one member: `step` changes the health word and the record, or
    /// declines with `None`. Runs under the lock, so it calls no code of a user. Says whether the
    /// transition took place; a member that was removed takes none.
    pub(crate) fn change(
        &self,
        member: &Member,
        step: impl FnOnce(&mut Option<Record>, Counts) -> Option<Change>,
    ) -> bool {
        let mut ledger = self.lock();
        if member.is_removed() {
            return false;
        }
        let counts = Counts {
            up: ledger.up,
            members: ledger.proved(),
            due: ledger.due(member.id),
        };
        let was_up = member.health.read().phase == Phase::Up;
        let mut record = ledger.record(member.id);
        let Some(change) = step(&mut record, counts) else {
            return false;
        };
        let phase = member.health.read().phase;
        ledger.set_record(member.id, record, phase == Phase::Ejected);
        let now = self.ramp_time(&ledger);
        ledger.ramps.age(now);
        ledger.set_up(member, was_up, phase == Phase::Up, now);
        ledger.refresh |= matches!(change, Change::Snapshot);
        self.publish(&ledger);
        let event = match &change {
            Change::Event(kind) => {
                let mut event = self.note(&mut ledger, member, *kind);
                event.set = ledger.take_turn();
                Some(event)
            }
            Change::Snapshot | Change::Due => None,
        };
        event.iter().for_each(|event| self.send(event));
        let (may_leave, up) = (ledger.may_leave() > 0, ledger.up);
        drop(ledger);

        self.wake(member, &change);
        if may_leave {
            // A prober takes them out, if no pick does.
            self.due_changed.notify_waiters();
        }
        event.iter().for_each(|event| event.trace(up));
        true
    }

    /// Wakes all that a transition concerns.
    fn wake(&self, member: &Member, change: &Change) {
        let kind = match change {
            Change::Event(kind) => kind,
            Change::Snapshot => return self.available.notify_one(),
            Change::Due => {
                self.available.notify_one();
                return self.due_changed.notify_waiters();
            }
        };
        match kind {
            EventKind::ProbeStarted => {}
            // If it was the last one that was up, probes may come sooner.
            EventKind::Draining => self.due_changed.notify_waiters(),
            // Of an abandoned probe, holders of its tickets must know that the peer is out still. No
            // request is woken by it: two whose probes say nothing would wake each other for ever.
            EventKind::Ejected { .. }
            | EventKind::ProbeFailed { .. }
            | EventKind::ProbeAbandoned => {
                member.wake();
                self.due_changed.notify_waiters();
            }
            _ => self.available.notify_one(),
        }
    }

    /// Claims the probe of an ejected member, if it is due.
    pub(crate) fn claim(&self, member: &Member) -> Option<Reading> {
        let mut claimed = None;
        self.change(member, |_, counts| {
            if counts.due? <= Instant::now() {
                claimed = member.health.claim();
            }
            claimed.map(|_| Change::Event(EventKind::ProbeStarted))
        });
        claimed
    }

    /// Lets the caller change the membership or the snapshot.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        // The ledger is whole between any two statements that could panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets picks see what has changed in the ledger.
    pub(crate) fn publish(&self, ledger: &Ledger) {
        let due = ledger.schedule().first().filter(|_| ledger.probers == 0);
        let look_at = match due {
            _ if ledger.refresh => NOW,
            Some((due, _)) => self.number(*due),
            None if !ledger.ramps.is_empty() => LATER,
            None => NEVER,
        };
        ledger.ramps.publish(ledger.up, &self.ramping);
        self.look_at.store(look_at, Ordering::Release);
        self.up.store(ledger.up, Ordering::Release);
    }

    /// What has just happened to a member. The ledger takes note of it.
    pub(crate) fn note(&self, ledger: &mut Ledger, member: &Member, kind: EventKind) -> Event {
        let at = Instant::now();
        ledger.take_note(member.id, kind, at);
        Event {
            pool: self.pool.clone(),
            peer: member.name.clone(),
            at,
            kind,
            set: None,
        }
    }

    pub(crate) fn send(&self, event: &Event) {
        if self.events.receiver_count() > 0 {
            // Fails only if the last reader has just gone.
            let _ = self.events.send(event.clone());
        }
    }

    /// Peers that come up from now on take a share that grows over this time.
    pub(crate) fn slow_start(&self, window: Duration) {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        self.lock().ramps.lengthen(nanos);
    }

    /// Picks look no longer, once no peer ramps.
    #[cold]
    pub(crate) fn age_ramps(&self) {
        let mut ledger = self.lock();
        ledger.ramps.age(self.now());
        self.publish(&ledger);
    }

    /// The time at which ramps start. Without slow start no clock is read.
    pub(super) fn ramp_time(&self, ledger: &Ledger) -> u64 {
        if ledger.ramps.is_on() { self.now() } else { 0 }
    }

    /// The time, as a number.
    pub(crate) fn now(&self) -> u64 {
        self.number(Instant::now())
    }

    /// One more than the nanoseconds since the epoch, so never `NOW`; below `LATER` for 584 years.
    fn number(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.epoch);
        let whole = since.as_secs().saturating_mul(1_000_000_000);
        whole
            .saturating_add(u64::from(since.subsec_nanos()) + 1)
            .min(LATER - 1)
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use super::*;
    use crate::set::ledger::Join;

    #[test]
    fn a_removed_member_takes_no_transition() {
        let registry = Registry::new(None);
        let member = Member::new(0, "a".into());
        registry.lock().join(&member, Join::AtOnce, 0);
        registry.lock().leave(&member);
        let before = member.health.read();
        let took_place = registry.change(&member, |record, _| {
            member.health.restore()?;
            *record = None;
            Some(Change::Event(EventKind::Restored))
        });
        assert!(!took_place);
        assert_eq!(member.health.read(), before);
        assert_eq!(registry.up(), 0);
    }
}
