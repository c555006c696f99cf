//! What a set knows of one peer, whatever the peer's type: its health word, counts and flags. All
//! of it that most attempts need is atomic, so that they read and write it without a lock.

use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::health::{Health, Phase};
use super::in_flight::InFlight;
use super::ramps::Ramp;
use crate::eject::Accrual;
use crate::stable_hash::hash;

/// How much one failure weighs against a peer that is compared by its attempts in flight.
///
/// A peer that fails at once never has anything in flight, so by that count alone it would look
/// idle and draw most of the traffic. Each failure adds this much to its load, and each comparison
/// that the peer loses takes one away. A peer that always fails wins at most one comparison in
/// five.
const FAILURE_WEIGHT: u16 = 4;

/// The most that failures weigh, so that a peer that failed for long is not shunned for as long.
const MAX_FAILURES: u16 = 64 * FAILURE_WEIGHT;

pub(crate) struct Member {
    pub(crate) name: Arc<str>,
    /// Unique within the set, never reused, growing in the order of the members.
    pub(crate) id: u64,
    pub(crate) health: Health,
    pub(crate) in_flight: InFlight,
    pub(crate) ramp: Ramp,
    weight: AtomicU32,
    failures: AtomicU16,
    /// The peer did its job since someone last asked for a proof.
    proved: AtomicBool,
    /// How often it did, counted only when a proof was asked for.
    proofs: AtomicU32,
    /// An active check is out.
    checked: AtomicBool,
    /// There are deferrals. Written under their lock.
    has_deferrals: AtomicBool,
    /// The current snapshot offers the peer to picks. Written under the registry's lock.
    offered: AtomicBool,
    /// The peer leaves as others come up. Written under the registry's lock.
    leaving: AtomicBool,
    /// The peer has left the set. Written under the registry's lock.
    removed: AtomicBool,
    tier: AtomicU32,
    /// Of the name, the same in each process.
    name_hash: u64,
    /// What only some peers need, made on first use.
    extras: OnceLock<Box<Extras>>,
}

#[derive(Default)]
struct Extras {
    /// Woken when the peer is ejected, and when a peer that is drained becomes idle.
    changed: Notify,
    accrual: ArcSwapOption<Kept>,
    deferrals: Mutex<Deferrals>,
}

/// An accrual, and the generation of the peer that it is for.
struct Kept {
    generation: u32,
    accrual: Box<dyn Accrual>,
}

/// The tickets that decide in place of a response that has not come, by their attempts' numbers.
/// `None`: the ticket has decided.
pub(crate) type Deferrals =
    HashMap<u32, Option<Weak<dyn Any + Send + Sync>>, BuildHasherDefault<NumberHasher>>;

/// Spreads numbers that count up, by Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3,
/// section 6.4). No caller chooses them, so they need no keyed hash.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        // The high bits depend on all of the number, and a table goes by the low ones as well.
        self.0.rotate_left(32)
    }
}

/// Where a peer is to stand among the others. `None`: as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) weight: Option<u32>,
    pub(crate) tier: Option<u32>,
}

impl Place {
    pub(crate) fn differs_from(self, member: &Member) -> bool {
        let weight = self.weight.is_some_and(|weight| weight != member.weight());
        weight || self.tier.is_some_and(|tier| tier != member.tier())
    }

    pub(crate) fn give(self, member: &Member) {
        self.weight.iter().for_each(|w| member.set_weight(*w));
        self.tier.iter().for_each(|tier| member.set_tier(*tier));
    }

    /// The same, and where it says nothing, that of another peer.
    pub(crate) fn or_of(self, other: &Member) -> Self {
        Self {
            weight: self.weight.or_else(|| Some(other.weight())),
            tier: self.tier.or_else(|| Some(other.tier())),
        }
    }
}

impl Member {
    pub(crate) fn new(id: u64, name: Arc<str>) -> Self {
        Self {
            name_hash: hash(&*name),
            name,
            id,
            health: Health::new(),
            in_flight: InFlight::new(),
            ramp: Ramp::default(),
            weight: AtomicU32::new(1),
            tier: AtomicU32::new(0),
            failures: AtomicU16::new(0),
            proved: AtomicBool::new(true),
            proofs: AtomicU32::new(0),
            checked: AtomicBool::new(false),
            has_deferrals: AtomicBool::new(false),
            offered: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            extras: OnceLock::new(),
        }
    }

    /// One attempt fewer is in flight; a drain may have waited for it.
    #[inline]
    pub(crate) fn leave(&self) {
        if self.in_flight.leave() && self.health.read().phase == Phase::Draining {
            self.wake();
        }
    }

    /// To wait on: look again whenever it wakes.
    pub(crate) fn changed(&self) -> &Notify {
        &self.extras.get_or_init(Box::default).changed
    }

    /// Wakes all that wait on [`changed`](Self::changed).
    #[cold]
    pub(crate) fn wake(&self) {
        if let Some(extras) = self.extras.get() {
            extras.changed.notify_waiters();
        }
    }

    /// Asks the accrual of a peer that is up in this generation; `None` if it no longer is. Each
    /// generation begins with a fresh one, which the first policy that asks makes. Runs code of the
    /// user, so not to be called under a lock.
    pub(crate) fn ask_accrual<T>(
        &self,
        generation: u32,
        make: &dyn Fn() -> Box<dyn Accrual>,
        ask: impl FnOnce(&dyn Accrual) -> T,
    ) -> Option<T> {
        let kept = &self.extras.get_or_init(Box::default).accrual;
        let is_current = |kept: &&Arc<Kept>| kept.generation == generation;
        let mut found = kept.load();
        // Read after the accrual, so that one of a later generation is not replaced.
        if self.health.generation_if_up() != Some(generation) {
            return None;
        }
        if found.as_ref().filter(is_current).is_none() {
            let accrual = make();
            let fresh = Kept {
                generation,
                accrual,
            };
            kept.compare_and_swap(&found, Some(Arc::new(fresh)));
            found = kept.load();
        }
        let current = found.as_ref().filter(is_current)?;
        Some(ask(&*current.accrual))
    }

    /// Whether some attempt that has no response yet may have a ticket that decides.
    #[inline]
    pub(crate) fn has_deferrals(&self) -> bool {
        self.has_deferrals.load(Ordering::Relaxed)
    }

    /// Reads or changes the deferrals, under their lock.
    #[cold]
    pub(crate) fn edit_deferrals<T>(&self, edit: impl FnOnce(&mut Deferrals) -> T) -> T {
        let extras = self.extras.get_or_init(Box::default);
        let deferrals = extras.deferrals.lock();
        let mut deferrals = deferrals.unwrap_or_else(PoisonError::into_inner);
        let result = edit(&mut deferrals);
        // An attempt that has a deferral reads this after its deferral was made.
        self.has_deferrals
            .store(!deferrals.is_empty(), Ordering::Relaxed);
        result
    }

    /// Forgets the failures that make the peer look busy.
    pub(crate) fn forget_failures(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A hash of the name, the same in each process.
    pub(crate) fn name_hash(&self) -> u64 {
        self.name_hash
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(crate) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    pub(crate) fn tier(&self) -> u32 {
        self.tier.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tier(&self, tier: u32) {
        self.tier.store(tier, Ordering::Relaxed);
    }

    /// How busy the peer is, failures included: see [`FAILURE_WEIGHT`].
    pub(crate) fn load(&self) -> u32 {
        let failures = self.failures.load(Ordering::Relaxed);
        self.in_flight.count().saturating_add(u32::from(failures))
    }

    pub(crate) fn note_failure(&self) {
        self.change_failures(|failures| {
            let more = failures.saturating_add(FAILURE_WEIGHT).min(MAX_FAILURES);
            (more != failures).then_some(more)
        });
    }

    /// A pick compared the peer with another one and chose the other one.
    pub(crate) fn note_passed_over(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.change_failures(|failures| failures.checked_sub(1));
        }
    }

    fn change_failures(&self, change: impl FnMut(u16) -> Option<u16>) {
        let _ = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// The peer did its job. While no proof is asked for, this is one load.
    #[inline]
    pub(crate) fn note_proved(&self) {
        if !self.is_proved() {
            self.proved.store(true, Ordering::Relaxed);
            self.add_proof();
        }
    }

    #[cold]
    pub(crate) fn add_proof(&self) {
        self.proofs.fetch_add(1, Ordering::Relaxed);
    }

    /// How many proofs there are. The next one adds to them.
    pub(crate) fn ask_for_proof(&self) -> u32 {
        self.proved.store(false, Ordering::Relaxed);
        self.proofs()
    }

    pub(crate) fn proofs(&self) -> u32 {
        self.proofs.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_proved(&self) -> bool {
        self.proved.load(Ordering::Relaxed)
    }

    /// Whether the peer did its job since this was last asked.
    pub(crate) fn take_proof(&self) -> bool {
        self.proved.swap(false, Ordering::Relaxed)
    }

    /// Whether an active check may start: none is out.
    pub(crate) fn begin_check(&self) -> bool {
        !self.checked.swap(true, Ordering::Acquire)
    }

    pub(crate) fn end_check(&self) {
        self.checked.store(false, Ordering::Release);
    }

    pub(crate) fn is_offered(&self) -> bool {
        self.offered.load(Ordering::Relaxed)
    }

    pub(crate) fn set_offered(&self, offered: bool) {
        self.offered.store(offered, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Returns whether this changed it.
    pub(crate) fn set_leaving(&self, leaving: bool) -> bool {
        self.leaving.swap(leaving, Ordering::Relaxed) != leaving
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }
}
