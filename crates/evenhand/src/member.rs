//! A peer as the set holds it.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::Notify;

use crate::accrual::Accrual;
use crate::book::{Change, Counts, Record};
use crate::event::EventKind;
use crate::health::{Health, Reading};
use crate::in_flight::InFlight;
use crate::policy::{Policy, PolicyId};
use crate::set::Set;

/// How much one failure weighs against a peer that is compared by its attempts in flight.
///
/// A peer that fails at once never has anything in flight, so by that count alone it would look
/// idle and draw most of the traffic. Each failure adds this much to its load, and each comparison
/// that it loses takes one away. If it always fails, it wins at most one comparison in five.
const FAILURE_WEIGHT: u16 = 4;

pub(crate) struct Member<P> {
    pub(crate) name: Arc<str>,
    pub(crate) data: P,
    /// Unique within the set, never given again.
    pub(crate) id: u32,
    pub(crate) health: Health,
    pub(crate) in_flight: InFlight,
    weight: AtomicU32,
    failures: AtomicU16,
    /// It did its job since the last round of checks, if there are any.
    proved: AtomicBool,
    /// A check is out.
    checked: AtomicBool,
    /// What only some peers need, made when one does.
    extras: OnceLock<Box<Extras>>,
    set: Weak<Set<P>>,
}

#[derive(Default)]
struct Extras {
    /// Woken when the peer is ejected, and when it is idle while it is drained.
    changed: Notify,
    accrual: OnceLock<Box<dyn Accrual>>,
}

impl<P> Member<P> {
    pub(crate) fn new(id: u32, name: Arc<str>, data: P, set: Weak<Set<P>>) -> Self {
        Self {
            name,
            data,
            id,
            health: Health::new(),
            in_flight: InFlight::new(),
            weight: AtomicU32::new(1),
            failures: AtomicU16::new(0),
            proved: AtomicBool::new(true),
            checked: AtomicBool::new(false),
            extras: OnceLock::new(),
            set,
        }
    }

    /// The policy of this number, if the set is still there.
    pub(crate) fn policy(&self, id: PolicyId) -> Option<Arc<Policy<P>>> {
        self.set.upgrade()?.policies.get(id)
    }

    /// Takes one transition of this member, unless it was removed or its set is gone.
    pub(crate) fn change(&self, step: impl FnOnce(&mut Record, Counts) -> Option<Change>) -> bool {
        self.set.upgrade().is_some_and(|set| set.change(self, step))
    }

    /// Claims the probe's place, `early` also before the peer's time, unless an operator ejected it.
    pub(crate) fn claim(&self, early: bool) -> Option<Reading> {
        let mut claimed = None;
        self.change(|record, _| {
            claimed = self.health.claim(early && !record.by_hand);
            claimed.map(|_| Change::Told(EventKind::ProbeStarted))
        });
        claimed
    }

    /// To wait on: look again whenever it wakes.
    pub(crate) fn changed(&self) -> &Notify {
        &self.extras.get_or_init(Box::default).changed
    }

    /// Wakes whoever waits on [`changed`](Self::changed), if anybody ever did.
    pub(crate) fn wake(&self) {
        if let Some(extras) = self.extras.get() {
            extras.changed.notify_waiters();
        }
    }

    /// The peer's record under a policy that keeps one; the first policy that asks makes it.
    pub(crate) fn accrual(&self, make: &dyn Fn() -> Box<dyn Accrual>) -> &dyn Accrual {
        let extras = self.extras.get_or_init(Box::default);
        &**extras.accrual.get_or_init(make)
    }

    /// The peer starts anew: its record is empty.
    pub(crate) fn forget(&self) {
        self.failures.store(0, Ordering::Relaxed);
        if let Some(accrual) = self.extras.get().and_then(|extras| extras.accrual.get()) {
            accrual.reset();
        }
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(crate) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// How busy it is, failures included: see [`FAILURE_WEIGHT`].
    pub(crate) fn load(&self) -> u32 {
        self.in_flight
            .count()
            .saturating_add(u32::from(self.failures.load(Ordering::Relaxed)))
    }

    pub(crate) fn note_failure(&self) {
        // A bound, so that a peer that failed for long is not shunned for as long after.
        const MOST: u16 = 64 * FAILURE_WEIGHT;
        let grown = |failures: u16| {
            let more = failures.saturating_add(FAILURE_WEIGHT).min(MOST);
            (more != failures).then_some(more)
        };
        let _ = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
    }

    /// It did its job. Without checks, and between two rounds, this is a load.
    pub(crate) fn note_proved(&self) {
        if !self.is_proved() {
            self.proved.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_proved(&self) -> bool {
        self.proved.load(Ordering::Relaxed)
    }

    /// Whether it did its job since last asked.
    pub(crate) fn take_proof(&self) -> bool {
        self.proved.swap(false, Ordering::Relaxed)
    }

    /// Whether a check may go out now: none is.
    pub(crate) fn begin_check(&self) -> bool {
        !self.checked.swap(true, Ordering::Acquire)
    }

    pub(crate) fn end_check(&self) {
        self.checked.store(false, Ordering::Release);
    }

    pub(crate) fn note_passed_over(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            let less = |failures: u16| failures.checked_sub(1);
            let _ = self
                .failures
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}
