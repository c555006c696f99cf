//! What the registry's lock protects: who is up, when those that are out are due, and who waits.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio::time::Instant;

use super::health::Phase;
use super::member::Member;
use super::ramps::Ramps;
use crate::event::{EventKind, SetEvent};

/// The snapshot is made anew when more than one in this many peers that it offers are out.
const STALE_SHARE: usize = 8;

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) members: usize,
    pub(super) up: usize,
    /// Of each peer that is out, or came back from an ejection.
    records: BTreeMap<u64, Record>,
    /// The peers that are ejected, the one that is due first before the others.
    due: BTreeSet<(Instant, u64)>,
    /// The same for while no peer is up and requests wait.
    on_demand: BTreeSet<(Instant, u64)>,
    /// How many tasks probe ejected peers in the background. If there is one, picks leave ejected
    /// peers to it.
    pub(super) probers: usize,
    /// How many requests wait for a peer.
    pub(super) waiters: usize,
    /// The peers that joined on proof and have not been up yet.
    joining: HashSet<u64>,
    /// How many peers leave as those come up.
    leaving: usize,
    /// How many came up for which none has left.
    came_up: usize,
    /// How many peers the snapshot offers to picks, and how many of them are out.
    offered: usize,
    stale: usize,
    pub(super) ramps: Ramps,
    /// What is told of each peer, by its id.
    notes: HashMap<u64, Note>,
    /// Some peer was up when this was last looked at.
    any_was_up: bool,
    /// It was told that all are down, and not yet that one is up again.
    is_down: bool,
    /// The snapshot offers peers of several tiers.
    is_tiered: bool,
    /// How much more than its share a tier can carry, if it is not the default.
    pub(crate) overprovisioning: Option<f64>,
    /// The snapshot lacks a peer that is up, has an old weight, or offers too many that are out.
    pub(super) refresh: bool,
}

/// What the set knows of a peer that is out, or came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Ejections in a row: failed probes count, and so do ejections soon after a recovery.
    pub(crate) streak: u32,
    /// Since when the peer is up, if it is.
    pub(crate) since: Instant,
    /// `None` while the peer is up.
    pub(crate) due: Option<Due>,
}

/// What is told of a peer beside its state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// Since when it is up, out or draining.
    pub(crate) since: Instant,
    /// The reason of its last ejection or failed probe.
    pub(crate) reason: Option<&'static str>,
}

/// When the next probe of a peer that is out is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    /// The same for while no peer is up and requests wait.
    pub(crate) on_demand: Instant,
    /// A verdict or an operator set the time, so no request goes to the peer before.
    pub(crate) firm: bool,
}

/// How a peer joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// Up. What leaves with the same edit leaves at once.
    AtOnce,
    /// Out and due, as if it had been ejected. What leaves with the same edit, and has been up, stays
    /// until as many have come up.
    OnProof,
}

/// How many peers are up, of how many, and when the peer in question is due, if it is out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) up: usize,
    /// Without those that have joined and never been up.
    pub(crate) members: usize,
    pub(crate) due: Option<Instant>,
}

impl Ledger {
    /// How many peers there are that have been up.
    pub(super) fn proved(&self) -> usize {
        self.members - self.joining.len()
    }

    /// Whether no peer is up and requests wait.
    pub(super) fn has_demand(&self) -> bool {
        self.up == 0 && self.waiters > 0
    }

    /// The peers that are ejected, the one that is due first before the others.
    pub(super) fn schedule(&self) -> &BTreeSet<(Instant, u64)> {
        if self.has_demand() {
            &self.on_demand
        } else {
            &self.due
        }
    }

    /// The peers that are due at `now`, the one that has been due longest before the others.
    pub(super) fn due_by(&self, now: Instant) -> impl Iterator<Item = u64> {
        let due = self.schedule().iter();
        due.take_while(move |(due, _)| *due <= now)
            .map(|(_, id)| *id)
    }

    /// When this peer is due, if it is out.
    pub(super) fn due(&self, id: u64) -> Option<Instant> {
        let due = self.records.get(&id)?.due?;
        Some(if self.has_demand() {
            due.on_demand
        } else {
            due.at
        })
    }

    /// Whether requests may go to this peer although it is out.
    pub(super) fn may_open(&self, id: u64, now: Instant) -> bool {
        let due = self.records.get(&id).and_then(|record| record.due);
        // One that has never proved itself takes no request but as its probe.
        let may = |due: Due| !due.firm || due.at <= now;
        due.is_some_and(may) && !self.joining.contains(&id)
    }

    pub(super) fn record(&self, id: u64) -> Option<Record> {
        self.records.get(&id).copied()
    }

    /// Replaces the record of a peer, which is ejected or not.
    pub(super) fn set_record(&mut self, id: u64, record: Option<Record>, is_ejected: bool) {
        if let Some(before) = self.records.remove(&id).and_then(|record| record.due) {
            self.due.remove(&(before.at, id));
            self.on_demand.remove(&(before.on_demand, id));
        }
        let Some(record) = record else { return };
        self.records.insert(id, record);
        if let Some(due) = record.due.filter(|_| is_ejected) {
            self.due.insert((due.at, id));
            self.on_demand.insert((due.on_demand, id));
        }
    }

    /// A member is up, or no longer.
    pub(super) fn set_up(&mut self, member: &Member, was_up: bool, is_up: bool, now: u64) {
        self.up = self.up + usize::from(is_up) - usize::from(was_up);
        if member.is_offered() {
            self.stale = self.stale + usize::from(was_up) - usize::from(is_up);
        }
        self.refresh |= (is_up && !member.is_offered())
            || self.stale * STALE_SHARE > self.offered
            || (self.is_tiered && was_up != is_up);
        if is_up && self.joining.remove(&member.id) {
            self.came_up = (self.came_up + 1).min(self.leaving);
        }
        match (was_up, is_up) {
            // One of weight 0 has no share that could grow.
            (false, true) if member.weight() > 0 => {
                self.ramps.start(&member.ramp, member.id, now);
            }
            (true, false) => self.ramps.stop(&member.ramp, member.id),
            _ => {}
        }
    }

    /// What is told of a member.
    pub(super) fn note(&self, id: u64) -> Option<Note> {
        self.notes.get(&id).copied()
    }

    /// Takes note of what happened to a member.
    pub(super) fn take_note(&mut self, id: u64, kind: EventKind, at: Instant) {
        let fresh = Note {
            since: at,
            reason: None,
        };
        let before = self.note(id).unwrap_or(fresh);
        let note = match kind {
            EventKind::Ejected { reason, .. } => Note { since: at, reason },
            EventKind::ProbeFailed { reason, .. } => Note { reason, ..before },
            EventKind::Recovered | EventKind::Draining => Note {
                since: at,
                ..before
            },
            EventKind::Added | EventKind::Restored => fresh,
            EventKind::ProbeStarted | EventKind::ProbeAbandoned => before,
            EventKind::Removed => {
                self.notes.remove(&id);
                return;
            }
        };
        self.notes.insert(id, note);
    }

    /// What has become of the set as a whole since this was last asked.
    pub(super) fn take_turn(&mut self) -> Option<SetEvent> {
        let (any_is_up, any_was_up) = (self.up > 0, self.any_was_up);
        self.any_was_up = any_is_up;
        if any_was_up && !any_is_up && self.members > 0 {
            self.is_down = true;
            return Some(SetEvent::AllDown);
        }
        (any_is_up && std::mem::take(&mut self.is_down)).then_some(SetEvent::FirstUp)
    }

    /// A new member joins.
    pub(super) fn join(&mut self, member: &Member, join: Join, now: u64) {
        self.members += 1;
        if join == Join::AtOnce {
            self.up += 1;
            // As in `set_up`.
            if member.weight() > 0 {
                self.ramps.start(&member.ramp, member.id, now);
            }
            return;
        }
        member.health.eject_manually();
        self.joining.insert(member.id);
        let now = Instant::now();
        let record = Record {
            streak: 0,
            since: now,
            due: Some(Due {
                at: now,
                on_demand: now,
                firm: false,
            }),
        };
        self.set_record(member.id, Some(record), true);
    }

    /// The member is to leave: as others come up, if it has been up itself and `join` says so.
    /// Returns whether it leaves at once.
    pub(super) fn dismiss(&mut self, member: &Member, join: Join) -> bool {
        let at_once = join == Join::AtOnce || self.joining.contains(&member.id);
        if !at_once && member.set_leaving(true) {
            self.leaving += 1;
        }
        at_once
    }

    /// The member is not to leave. Returns whether it was.
    pub(super) fn keep(&mut self, member: &Member) -> bool {
        let was_leaving = member.set_leaving(false);
        self.leaving -= usize::from(was_leaving);
        was_leaving
    }

    /// How many of the members that are to leave may do so now.
    pub(super) fn may_leave(&self) -> usize {
        if self.joining.is_empty() {
            self.leaving
        } else {
            self.came_up.min(self.leaving)
        }
    }

    /// The member leaves, in whatever state it is. It is `Draining` from then on, so that holders
    /// of its tickets learn nothing more of it.
    pub(crate) fn leave(&mut self, member: &Member) {
        self.members -= 1;
        self.ramps.stop(&member.ramp, member.id);
        self.joining.remove(&member.id);
        if self.keep(member) {
            self.came_up = self.came_up.saturating_sub(1);
        }
        self.up -= usize::from(member.health.read().phase == Phase::Up);
        self.set_record(member.id, None, false);
        member.health.drain();
        member.set_removed();
    }

    /// Whether the member is to be up, or will stay if it is: it neither leaves nor has never been up.
    pub(crate) fn counts(&self, member: &Member) -> bool {
        !member.is_leaving() && !self.joining.contains(&member.id)
    }

    /// The snapshot is up to date.
    pub(crate) fn refreshed(&mut self, is_tiered: bool) {
        self.is_tiered = is_tiered;
        self.offered = self.up;
        self.stale = 0;
        self.refresh = false;
        self.came_up = match self.joining.is_empty() {
            true => 0,
            false => self.came_up.min(self.leaving),
        };
    }
}
