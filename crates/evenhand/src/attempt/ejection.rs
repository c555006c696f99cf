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
//! since, the outcome is stale and changes nothing. A failed probe makes the next interval longer,
//! and so does an ejection soon after a recovery; a probe that says nothing of the peer leaves it
//! due. While all peers are out, requests may go to them without a probe's permit ("open"): a success
//! brings the peer back.

use std::time::Duration;

use tokio::time::Instant;

use crate::classify::{PeerVerdict, Verdict};
use crate::eject::{Accrual, Trip};
use crate::event::EventKind;
use crate::interval::within_bounds;
use crate::set::health::{Health, Phase, Reading};
use crate::set::ledger::{Due, Record};
use crate::set::peer::Peer;
use crate::set::policies::Policy;
use crate::set::registry::Change;

/// The state in which a peer was picked: its generation, and whether the attempt is a probe or open.
/// With them the attempt's number, cut to 30 bits. One word, so that a permit fits two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// The peer was out: the highest bit, as a test of the sign is cheapest.
    const OUT: u64 = 1 << 63;
    /// And the attempt holds its probe.
    const PROBING: u64 = 1 << 62;
    const NUMBER_SHIFT: u32 = 32;

    #[inline]
    pub(crate) fn up(generation: u32, number: u32) -> Self {
        let number = u64::from(number) << Self::NUMBER_SHIFT;
        Self(u64::from(generation) | (number & !(Self::OUT | Self::PROBING)))
    }

    pub(crate) fn probing(generation: u32, number: u32) -> Self {
        Self(Self::open(generation, number).0 | Self::PROBING)
    }

    pub(crate) fn open(generation: u32, number: u32) -> Self {
        Self(Self::up(generation, number).0 | Self::OUT)
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn number(self) -> u32 {
        ((self.0 & !(Self::OUT | Self::PROBING)) >> Self::NUMBER_SHIFT) as u32
    }

    #[inline]
    pub(crate) fn is_probing(self) -> bool {
        self.0 & Self::PROBING != 0
    }

    /// Whether the peer was out, and the attempt is no probe.
    pub(crate) fn is_open(self) -> bool {
        self.0 & (Self::OUT | Self::PROBING) == Self::OUT
    }

    /// Whether the peer was up.
    #[inline]
    pub(crate) fn is_up(self) -> bool {
        self.0 & Self::OUT == 0
    }

    /// The epoch of a permit that another holder releases.
    pub(crate) fn without_probe(self) -> Self {
        Self(self.0 & !(Self::OUT | Self::PROBING))
    }

    /// The epoch that an outcome counts under, given what the peer is now: an attempt that brought
    /// its peer back belongs to the state that it brought about. So do the tickets of all that were
    /// open then.
    pub(crate) fn since(self, now: Reading) -> Self {
        let recovered = !self.is_up()
            && now.phase == Phase::Up
            && now.generation == self.generation().wrapping_add(1);
        if recovered {
            Self::up(now.generation, self.number())
        } else {
            self
        }
    }
}

/// Applies the verdict of an attempt's response, unless it is stale.
pub(crate) fn settle_response<Target>(
    peer: &Peer<Target>,
    epoch: Epoch,
    verdict: &Verdict,
    policy: &Policy,
) {
    // A response of a peer that was out says nothing of one that is back.
    let epoch = match epoch.is_open() {
        true => epoch,
        false => epoch.since(peer.member().health.read()),
    };
    settle(peer, epoch, verdict, policy);
}

/// Applies a verdict, unless it is stale.
pub(crate) fn settle<Target>(
    peer: &Peer<Target>,
    epoch: Epoch,
    verdict: &Verdict,
    policy: &Policy,
) {
    let generation = epoch.generation();
    if verdict.peer != PeerVerdict::Healthy {
        peer.member().note_failure();
    }
    match verdict.peer {
        PeerVerdict::Neutral | PeerVerdict::Suspect => {}
        PeerVerdict::Healthy if epoch.is_up() => note_healthy(peer, generation, policy),
        PeerVerdict::Healthy if epoch.is_probing() => {
            recover(peer, |health| health.recover(generation));
        }
        PeerVerdict::Healthy => recover(peer, |health| health.recover_open(generation)),
        PeerVerdict::Degraded | PeerVerdict::Down if epoch.is_up() => {
            if trips(peer, generation, verdict, policy) {
                eject(peer, generation, verdict, policy);
            }
        }
        PeerVerdict::Degraded | PeerVerdict::Down if epoch.is_probing() => {
            let end = |health: &Health| health.end_probe(generation);
            take_out(peer, end, verdict, policy);
        }
        // The peer was out, and still is.
        PeerVerdict::Degraded | PeerVerdict::Down => {}
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
            member.ask_accrual(generation, &**make, Accrual::healthy);
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
            let trips = |accrual: &dyn Accrual| accrual.failed(verdict);
            member.ask_accrual(generation, &**make, trips) == Some(true)
        }
    }
}

fn recover<Target>(peer: &Peer<Target>, transition: impl FnOnce(&Health) -> Option<Reading>) {
    let member = peer.member();
    let recovered = peer.change(|record, _| {
        transition(&member.health)?;
        // Kept: a peer that fails again soon is out for longer.
        if let Some(record) = record {
            (record.due, record.since) = (None, Instant::now());
        }
        Some(Change::Event(EventKind::Recovered))
    });
    if recovered {
        member.note_proved();
        member.forget_failures();
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
        transition(health)?;
        let (now, before) = (Instant::now(), record.as_ref());
        let relapsed = before.filter(|before| {
            before.due.is_some() || now - before.since < policy.eject.longest_interval()
        });
        let streak = relapsed.map_or(1, |before| before.streak.saturating_add(1));
        let set_by_verdict = verdict.recover_in.map(within_bounds);
        let grown = || policy.eject.interval(streak, &policy.rng);
        let probe_in = set_by_verdict.unwrap_or_else(grown);
        let first = match streak {
            1 => probe_in,
            _ => policy.eject.interval(1, &policy.rng),
        };
        *record = Some(Record {
            streak,
            since: now,
            due: Some(Due {
                at: now + probe_in,
                on_demand: now + set_by_verdict.unwrap_or(first.min(probe_in)),
                firm: set_by_verdict.is_some(),
            }),
        });
        let reason = verdict.reason;
        Some(Change::Event(if is_up {
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
        let (now, probe_in) = (Instant::now(), within_bounds(time));
        let at = now + probe_in;
        *record = Some(Record {
            streak: 1,
            since: now,
            due: Some(Due {
                at,
                on_demand: at,
                firm: true,
            }),
        });
        let reason = Some("by an operator");
        Some(Change::Event(EventKind::Ejected { reason, probe_in }))
    });
}

/// Ends a probe. If it said nothing of its peer, the peer is due at once.
#[cold]
pub(crate) fn release<Target>(peer: &Peer<Target>, generation: u32) {
    peer.change(|record, _| {
        peer.member().health.end_probe(generation)?;
        if let Some(due) = record.as_mut().and_then(|record| record.due.as_mut()) {
            let now = Instant::now();
            (due.at, due.on_demand) = (due.at.min(now), due.on_demand.min(now));
        }
        Some(Change::Event(EventKind::ProbeAbandoned))
    });
}
