//! What outcomes do to a peer: the circuit breaker.
//!
//! ```text
//!              Down, or too many failures
//!   ┌────────┐ ────────────────────────► ┌───────────┐
//!   │   Up   │                           │  Ejected  │ ◄──────┐
//!   └────────┘ ◄──────┐                  └───────────┘        │
//!                     │ Healthy            due │ probe        │ Down, Degraded
//!                     │                        ▼              │
//!                     │                  ┌───────────┐        │
//!                     └───────────────── │  Probing  │ ───────┘
//!                                        └───────────┘
//! ```
//!
//! Each outcome counts under the epoch in which its peer was picked. If the peer changed its state
//! since, the outcome is stale and changes nothing. A failed probe makes the next interval longer;
//! a probe that says nothing of the peer leaves it due.

use std::time::Duration;

use tokio::time::Instant;

use crate::classify::{PeerVerdict, Verdict};
use crate::eject::Trip;
use crate::event::EventKind;
use crate::interval::within_bounds;
use crate::set::health::{Health, Phase, Reading};
use crate::set::peer::Peer;
use crate::set::policies::Policy;
use crate::set::registry::{Change, Record};

/// The state in which a peer was picked: its generation, and whether the attempt is a probe. One
/// word, so that a permit fits two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    const PROBING: u64 = 1 << 32;

    #[inline]
    pub(crate) fn up(generation: u32) -> Self {
        Self(u64::from(generation))
    }

    pub(crate) fn probing(generation: u32) -> Self {
        Self(u64::from(generation) | Self::PROBING)
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(crate) fn is_probing(self) -> bool {
        self.0 & Self::PROBING != 0
    }

    /// The epoch that an outcome counts under, given what the peer is now: a probe that brought
    /// its peer back belongs to the state that it brought about.
    pub(crate) fn since(self, now: Reading) -> Self {
        let recovered = self.is_probing()
            && now.phase == Phase::Up
            && now.generation == self.generation().wrapping_add(1);
        if recovered {
            Self::up(now.generation)
        } else {
            self
        }
    }
}

/// Applies a verdict, unless it is stale.
pub(crate) fn settle<Target>(
    peer: &Peer<Target>,
    epoch: Epoch,
    verdict: &Verdict,
    policy: &Policy,
) {
    let (generation, probing) = (epoch.generation(), epoch.is_probing());
    if verdict.peer != PeerVerdict::Healthy {
        peer.member().note_failure();
    }
    match (verdict.peer, probing) {
        (PeerVerdict::Neutral | PeerVerdict::Suspect, _) => {}
        (PeerVerdict::Healthy, false) => note_healthy(peer, generation, policy),
        (PeerVerdict::Healthy, true) => recover(peer, generation),
        (PeerVerdict::Degraded | PeerVerdict::Down, false) => {
            if trips(peer, generation, verdict, policy) {
                eject(peer, generation, verdict, policy);
            }
        }
        (PeerVerdict::Degraded | PeerVerdict::Down, true) => {
            take_out(
                peer,
                |health| health.probe_failed(generation),
                verdict,
                policy,
            );
        }
    }
}

/// A `Healthy` outcome of an attempt that was no probe.
#[inline]
pub(crate) fn note_healthy<Target>(peer: &Peer<Target>, generation: u32, policy: &Policy) {
    let member = peer.member();
    member.note_proved();
    match policy.eject.trip() {
        Trip::InARow { .. } => member.health.reset_failures(generation),
        Trip::Accrual(make) => {
            if is_current(member.health.read(), generation) {
                member.accrual(&**make).healthy();
            }
        }
    }
}

/// A `Degraded` or `Down` outcome of an attempt that was no probe. Returns whether it ejects.
fn trips<Target>(peer: &Peer<Target>, generation: u32, verdict: &Verdict, policy: &Policy) -> bool {
    let member = peer.member();
    match policy.eject.trip() {
        Trip::InARow { down, degraded } => {
            let limit = match verdict.peer {
                PeerVerdict::Down => *down,
                _ => *degraded,
            };
            let in_a_row = member.health.degrade(generation);
            in_a_row.is_some_and(|in_a_row| in_a_row >= limit)
        }
        Trip::Accrual(make) => {
            is_current(member.health.read(), generation) && member.accrual(&**make).failed(verdict)
        }
    }
}

fn is_current(now: Reading, generation: u32) -> bool {
    now.phase == Phase::Up && now.generation == generation
}

fn recover<Target>(peer: &Peer<Target>, generation: u32) {
    let member = peer.member();
    let recovered = peer.change(|record, _| {
        member.health.recover(generation)?;
        *record = None;
        Some(Change::Event(EventKind::Recovered))
    });
    if recovered {
        member.note_proved();
        member.reset_failures();
    }
}

/// Ejects a peer that is up, unless too few would be left up.
pub(crate) fn eject<Target>(
    peer: &Peer<Target>,
    generation: u32,
    verdict: &Verdict,
    policy: &Policy,
) {
    take_out(peer, |health| health.eject(generation), verdict, policy);
}

/// Ejects a peer that is up, or keeps one out whose probe failed.
fn take_out<Target>(
    peer: &Peer<Target>,
    transition: impl FnOnce(&Health) -> Option<Reading>,
    verdict: &Verdict,
    policy: &Policy,
) {
    let health = &peer.member().health;
    peer.change(|record, counts| {
        let is_up = health.read().phase == Phase::Up;
        if is_up && !policy.eject.may_eject(counts.up, counts.members) {
            return None;
        }
        let now = transition(health)?;
        let probe_in = match verdict.recover_in {
            Some(interval) => within_bounds(interval),
            None => policy.eject.interval(now.count, &policy.rng),
        };
        *record = Some(Record {
            due: Instant::now() + probe_in,
            manual: false,
        });
        let reason = verdict.reason;
        Some(Change::Event(if now.count == 1 {
            EventKind::Ejected { reason, probe_in }
        } else {
            EventKind::ProbeFailed { reason, probe_in }
        }))
    });
}

/// Ejects a peer for an operator, whatever its state.
pub(crate) fn eject_manually<Target>(peer: &Peer<Target>, time: Duration) {
    peer.change(|record, _| {
        peer.member().health.eject_manually()?;
        let probe_in = within_bounds(time);
        *record = Some(Record {
            due: Instant::now() + probe_in,
            manual: true,
        });
        let reason = Some("by an operator");
        Some(Change::Event(EventKind::Ejected { reason, probe_in }))
    });
}

/// Ends a probe. If it said nothing of its peer, the peer is due at once.
#[cold]
pub(crate) fn release<Target>(peer: &Peer<Target>, generation: u32) {
    peer.change(|record, _| {
        peer.member().health.release(generation)?;
        if let Some(record) = record {
            record.due = record.due.min(Instant::now());
        }
        Some(Change::Event(EventKind::ProbeAbandoned))
    });
}
