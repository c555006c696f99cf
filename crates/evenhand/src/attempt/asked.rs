//! Which peers a request may go to, given those that it has asked.

use std::collections::HashSet;

use crate::set::member::Member;

/// What a request that was not settled by its first attempt remembers of the peers it asked.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The ids of the peers that were asked in this round.
    round: HashSet<u64>,
    /// Of the peers that may have executed the request: the id, and how many proofs there were.
    unknown: Vec<(u64, u32)>,
    /// The request goes only to those.
    is_confined: bool,
    /// The ids of the peers that refused the request.
    refused: Vec<u64>,
}

impl Asked {
    /// Whether the request may go to this peer now. A peer that may have executed it is asked again
    /// only once it has proved itself, if `checked`: without active checks nothing may ever prove it.
    pub(crate) fn may_enter(&self, member: &Member, checked: bool) -> bool {
        let unknown = self.unknown.iter().find(|(id, _)| *id == member.id);
        let proved = unknown.is_none_or(|(_, proofs)| !checked || member.proofs() != *proofs);
        proved && self.may_probe(member.id)
    }

    /// As [`may_enter`](Self::may_enter), for a request that is itself the peer's proof.
    pub(crate) fn may_probe(&self, id: u64) -> bool {
        let is_new = || self.unknown.iter().all(|(other, _)| *other != id);
        let is_barred = self.is_confined && is_new();
        !is_barred && !self.round.contains(&id) && !self.refused.contains(&id)
    }

    /// The request asked this peer.
    pub(crate) fn add(&mut self, id: u64) {
        self.round.insert(id);
    }

    /// The peer may have executed the request. If so many have that there are `most`, the request
    /// goes to no other.
    pub(crate) fn add_unknown(&mut self, member: &Member, most: usize) {
        self.unknown.retain(|(id, _)| *id != member.id);
        self.unknown.push((member.id, member.ask_for_proof()));
        self.is_confined |= self.unknown.len() >= most;
    }

    /// The peer refused the request, and is not asked again.
    pub(crate) fn add_refused(&mut self, id: u64) {
        self.refused.push(id);
    }

    /// The ids of the peers that refused the request.
    pub(crate) fn refused(&self) -> &[u64] {
        &self.refused
    }

    /// The ids of the peers that were asked in this round.
    pub(crate) fn round(&self) -> impl Iterator<Item = u64> {
        self.round.iter().copied()
    }

    /// Lets the request go to this peer once more in this round.
    pub(crate) fn forgive(&mut self, id: u64) {
        self.round.remove(&id);
    }

    /// All peers may be asked anew.
    pub(crate) fn start_round(&mut self) {
        self.round.clear();
    }

    /// Adds what another leg of the request remembers of outcomes; `most` as in
    /// [`add_unknown`](Self::add_unknown).
    pub(crate) fn learn(&mut self, other: &Self, most: usize) {
        for unknown in &other.unknown {
            if self.unknown.iter().all(|(id, _)| *id != unknown.0) {
                self.unknown.push(*unknown);
            }
        }
        for id in &other.refused {
            if !self.refused.contains(id) {
                self.refused.push(*id);
            }
        }
        self.is_confined |= other.is_confined || self.unknown.len() >= most;
    }

    /// Adds all that another leg of the request remembers.
    pub(crate) fn merge(&mut self, other: Self) {
        self.learn(&other, usize::MAX);
        self.round.extend(other.round);
    }
}
