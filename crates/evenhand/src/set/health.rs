//! One peer's state in one atomic word, and the transitions between its states.
//!
//! ```text
//!                 degrade (n in a row)
//!               ┌──────┐
//!               ▼      │        eject
//!            ┌────┐────┘ ─────────────────► ┌─────────┐
//!            │ Up │                         │ Ejected │
//!            └────┘ ◄──┐                    └─────────┘
//!                      │ recover       claim │       ▲
//!                      │                     ▼       │ end_probe
//!                      │                  ┌─────────┐│
//!                      └───────────────── │ Probing │┘
//!                                         └─────────┘
//! ```
//!
//! An operator's `eject_manually` ejects a peer from any state, `drain` takes it out of the picks
//! without a mark against it, and `restore` puts it back from any state. When an ejected peer is due
//! is no state but a time, which the [registry](super::registry) keeps.
//!
//! Why one word: an outcome is judged long after its peer was picked, on another thread, while
//! others judge theirs. Each transition is one compare-and-swap that names the generation it was
//! decided under, so exactly one of several racing outcomes takes effect, and one that is older
//! than the latest change takes none. Every transition that changes the state adds one to the
//! generation, with two exceptions: counting a `Degraded` outcome, as the peer stays `Up`; and
//! draining a peer that is `Up` and restoring it, as nothing is held against it and what its
//! attempts learn still counts.
//!
//! | bits | hold |
//! | --- | --- |
//! | 0 to 1 | the state |
//! | 2 to 31 | while `Up`: `Degraded` outcomes in a row |
//! | 32 to 63 | the generation, which wraps |

#[cfg(evenhand_loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(evenhand_loom))]
use std::sync::atomic::{AtomicU64, Ordering};

const STATE_BITS: u32 = 2;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
const COUNT_BITS: u32 = 30;
const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;
const COUNT_MASK: u64 = (COUNT_MAX as u64) << STATE_BITS;
const GENERATION_SHIFT: u32 = 32;
const UP: u64 = 0;

/// What a peer's word can say. Users see the coarser [`State`](crate::State).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes its share of the picks.
    Up,
    /// Out until a probe succeeds.
    Ejected,
    /// One probe is out.
    Probing,
    /// An operator took it out of the picks; attempts in flight go on.
    Draining,
}

/// One reading of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) phase: Phase,
    pub(crate) generation: u32,
    /// `Degraded` outcomes in a row while `Up`.
    pub(crate) count: u32,
}

impl Reading {
    #[inline]
    fn unpack(word: u64) -> Self {
        let phase = match word & STATE_MASK {
            UP => Phase::Up,
            1 => Phase::Ejected,
            2 => Phase::Probing,
            _ => Phase::Draining,
        };
        Self {
            phase,
            generation: (word >> GENERATION_SHIFT) as u32,
            count: (word >> STATE_BITS) as u32 & COUNT_MAX,
        }
    }

    fn pack(self) -> u64 {
        let state = match self.phase {
            Phase::Up => UP,
            Phase::Ejected => 1,
            Phase::Probing => 2,
            Phase::Draining => 3,
        };
        u64::from(self.generation) << GENERATION_SHIFT
            | u64::from(self.count.min(COUNT_MAX)) << STATE_BITS
            | state
    }

    /// As `next`, of a peer that is out, for what is no outcome of an attempt that was made meanwhile.
    /// The generation after its own is the one that such an attempt's success begins and that its
    /// tickets report for, so it is skipped.
    fn manual(self, phase: Phase) -> Self {
        let next = self.next(phase);
        Self {
            generation: next.generation.wrapping_add(1),
            ..next
        }
    }

    fn next(self, phase: Phase) -> Self {
        Self {
            phase,
            generation: self.generation.wrapping_add(1),
            count: 0,
        }
    }
}

/// The word itself.
#[derive(Debug)]
pub(crate) struct Health(AtomicU64);

impl Health {
    /// A peer starts `Up`, until an attempt shows otherwise.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Sequentially consistent, as draining needs it: see [`InFlight`](super::in_flight).
    #[inline]
    pub(crate) fn read(&self) -> Reading {
        Reading::unpack(self.0.load(Ordering::SeqCst))
    }

    /// The generation, if the peer is `Up`: one load, as for [`read`](Self::read).
    #[inline]
    pub(crate) fn generation_if_up(&self) -> Option<u32> {
        let word = self.0.load(Ordering::SeqCst);
        (word & STATE_MASK == UP).then_some((word >> GENERATION_SHIFT) as u32)
    }

    /// The generation, if the peer is out and not drained.
    pub(crate) fn generation_if_out(&self) -> Option<u32> {
        let now = self.read();
        matches!(now.phase, Phase::Ejected | Phase::Probing).then_some(now.generation)
    }

    /// A `Healthy` outcome while `Up`: the `Degraded` outcomes before it no longer
    /// count.
    ///
    /// On the healthy path the count is 0 and this is one load.
    #[inline]
    pub(crate) fn reset_failures(&self, generation: u32) {
        let word = self.0.load(Ordering::Relaxed);
        if word & COUNT_MASK != 0 {
            self.reset_failures_from(generation);
        }
    }

    #[cold]
    fn reset_failures_from(&self, generation: u32) {
        self.advance(Phase::Up, generation, |now| Reading { count: 0, ..now });
    }

    /// A `Degraded` outcome while `Up`. Returns how many there are in a row now, or `None` if the
    /// outcome is stale.
    pub(crate) fn degrade(&self, generation: u32) -> Option<u32> {
        let worse = self.advance(Phase::Up, generation, |now| Reading {
            count: now.count + 1,
            ..now
        });
        worse.map(|worse| worse.count)
    }

    /// `Up` to `Ejected`. Returns the new reading, or `None` if the outcome is stale.
    pub(crate) fn eject(&self, generation: u32) -> Option<Reading> {
        self.advance(Phase::Up, generation, |now| now.next(Phase::Ejected))
    }

    /// `Ejected` to `Probing`. The one caller that gets a reading holds the probe until it calls
    /// `recover` or `end_probe`.
    pub(crate) fn claim(&self) -> Option<Reading> {
        self.step(|now| (now.phase == Phase::Ejected).then(|| now.next(Phase::Probing)))
    }

    /// `Probing` to `Up`: the probe succeeded.
    pub(crate) fn recover(&self, generation: u32) -> Option<Reading> {
        self.advance(Phase::Probing, generation, |now| now.next(Phase::Up))
    }

    /// `Probing` to `Ejected`: the probe failed, was cancelled, or said nothing of the peer.
    pub(crate) fn end_probe(&self, generation: u32) -> Option<Reading> {
        self.advance(Phase::Probing, generation, |now| now.next(Phase::Ejected))
    }

    /// `Ejected` or `Probing` to `Up`: an attempt that was made although the peer is out succeeded.
    pub(crate) fn recover_open(&self, generation: u32) -> Option<Reading> {
        self.step(|now| match now.phase {
            _ if now.generation != generation => None,
            Phase::Ejected => Some(now.next(Phase::Up)),
            // The next one is the probe's.
            Phase::Probing => Some(now.manual(Phase::Up)),
            _ => None,
        })
    }

    /// Any state to `Ejected`, by an operator.
    pub(crate) fn eject_manually(&self) -> Option<Reading> {
        self.step(|now| Some(now.next(Phase::Ejected)))
    }

    /// Any state to `Draining`.
    pub(crate) fn drain(&self) -> Option<Reading> {
        self.step(|now| match now.phase {
            Phase::Draining => None,
            Phase::Up => Some(Reading {
                phase: Phase::Draining,
                ..now
            }),
            _ => Some(now.manual(Phase::Draining)),
        })
    }

    /// Any state to `Up`, by an operator.
    pub(crate) fn restore(&self) -> Option<Reading> {
        self.step(|now| match now.phase {
            Phase::Up => None,
            Phase::Draining => Some(Reading {
                phase: Phase::Up,
                ..now
            }),
            _ => Some(now.manual(Phase::Up)),
        })
    }

    /// Takes a transition of an outcome, unless it is stale: the peer is in another state by now, or
    /// in a later generation.
    fn advance(
        &self,
        from: Phase,
        generation: u32,
        to: impl Fn(Reading) -> Reading,
    ) -> Option<Reading> {
        self.step(|now| (now.phase == from && now.generation == generation).then(|| to(now)))
    }

    /// Takes one transition, or none if `to` refuses what it finds.
    fn step(&self, to: impl Fn(Reading) -> Option<Reading>) -> Option<Reading> {
        let next = |word| to(Reading::unpack(word)).map(Reading::pack);
        let before = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::Acquire, next);
        to(Reading::unpack(before.ok()?))
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use super::*;

    fn ejected() -> (Health, Reading) {
        let health = Health::new();
        let reading = health.eject(0).unwrap();
        (health, reading)
    }

    #[test]
    fn word_round_trips_its_fields() {
        for phase in [Phase::Up, Phase::Ejected, Phase::Probing, Phase::Draining] {
            for generation in [0, 1, u32::MAX] {
                for count in [0, 1, COUNT_MAX] {
                    let reading = Reading {
                        phase,
                        generation,
                        count,
                    };
                    assert_eq!(Reading::unpack(reading.pack()), reading);
                }
            }
        }
    }

    #[test]
    fn change_of_state_starts_a_new_generation() {
        let (health, ejected) = ejected();
        let probing = health.claim().unwrap();
        let up = health.recover(probing.generation).unwrap();
        let generations = [ejected.generation, probing.generation, up.generation];
        assert_eq!(generations, [1, 2, 3]);
    }

    #[test]
    fn generation_wraps_without_touching_other_fields() {
        let last = Reading {
            phase: Phase::Up,
            generation: u32::MAX,
            count: 3,
        };
        let health = Health(AtomicU64::new(last.pack()));
        let after = health.eject(u32::MAX).unwrap();
        assert_eq!(
            after,
            Reading {
                phase: Phase::Ejected,
                generation: 0,
                count: 0
            }
        );
    }

    #[test]
    fn stale_outcome_changes_nothing() {
        let (health, ejected) = ejected();
        let before = health.read();
        assert_eq!(health.eject(0), None);
        assert_eq!(health.degrade(0), None);
        health.reset_failures(0);
        assert_eq!(health.recover(0), None);
        assert_eq!(health.end_probe(ejected.generation), None);
        assert_eq!(health.read(), before);
    }

    #[test]
    fn degraded_outcomes_count_in_a_row() {
        let health = Health::new();
        assert_eq!(health.degrade(0), Some(1));
        assert_eq!(health.degrade(0), Some(2));
        health.reset_failures(0);
        assert_eq!(health.degrade(0), Some(1));
    }

    #[test]
    fn open_success_recovers_its_own_generation_only() {
        let (health, ejected) = ejected();
        assert_eq!(health.recover_open(0), None);
        let probe = health.claim().unwrap();
        assert_eq!(health.recover_open(ejected.generation), None);
        let up = health.recover_open(probe.generation).unwrap();
        assert_eq!(up.phase, Phase::Up);
        assert_eq!(health.recover(probe.generation), None);
        assert_eq!(health.eject(probe.generation.wrapping_add(1)), None);
    }

    #[test]
    fn one_probe_is_claimed_at_a_time() {
        let (health, _) = ejected();
        let probe = health.claim().unwrap();
        assert_eq!(health.claim(), None);
        health.end_probe(probe.generation).unwrap();
        assert!(health.claim().is_some());
    }
}
