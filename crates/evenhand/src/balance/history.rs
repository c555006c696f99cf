//! What a request remembers once its first attempt did not settle it, or once it is hedged.

use std::collections::HashMap;

use super::wait::Wait;
use crate::attempt::asked::Asked;
use crate::attempt::permit::AttemptPermit;
use crate::classify::Verdict;
use crate::error::{Cause, Rank, Tried};
use crate::set::peer::Peer;

/// A request over many peers that fail at once yields to the runtime after so many attempts.
const ATTEMPTS_PER_YIELD: u32 = 32;

/// The part of a request in a hedged one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// The request is not hedged.
    #[default]
    Alone,
    /// The first leg. Where it finds no peer it leaves the request to the other leg.
    First,
    /// The second leg. It neither probes nor waits either.
    Hedge,
}

pub(crate) struct History<Target, Response, Error> {
    /// Which peers the request may go to.
    pub(crate) asked: Asked,
    /// The last outcome of each peer.
    outcomes: Vec<Tried<Error>>,
    /// Where each peer's outcome is, by the peer's id.
    places: HashMap<u64, usize>,
    /// Where the latest outcome is.
    last: usize,
    /// How many attempts have ended.
    pub(crate) attempts: u32,
    /// How many the other leg of the request has made.
    pub(crate) elsewhere: u32,
    /// The ids of the peers that only had no room.
    busy: Vec<u64>,
    /// The request has come back to those.
    pub(crate) second_pass: bool,
    /// The peers that another peer's outcome will clear or convict.
    suspects: Vec<Suspect<Target>>,
    /// The best of the responses that the classifier rejected.
    rejected: Option<(Rank, Response)>,
    pub(crate) wait: Option<Wait>,
    /// The retry budget is spent.
    pub(crate) is_spent: bool,
    pub(crate) role: Role,
}

/// A peer that refused the request.
struct Suspect<Target> {
    id: u64,
    kind: &'static str,
    /// `None` if it was released, or a ticket decides about the peer.
    permit: Option<AttemptPermit<Target>>,
}

impl<Target, Response, Error> Default for History<Target, Response, Error> {
    fn default() -> Self {
        Self {
            asked: Asked::default(),
            outcomes: Vec::new(),
            places: HashMap::new(),
            last: 0,
            attempts: 0,
            elsewhere: 0,
            busy: Vec::new(),
            second_pass: false,
            suspects: Vec::new(),
            rejected: None,
            wait: None,
            is_spent: false,
            role: Role::Alone,
        }
    }
}

impl<Target, Response, Error> History<Target, Response, Error> {
    /// Adds the outcome of an attempt.
    pub(crate) fn add(
        &mut self,
        peer: &Peer<Target>,
        verdict: &Verdict,
        outcome: Result<Response, Cause<Error>>,
        rank: Rank,
    ) {
        let cause = match outcome {
            Ok(response) => {
                if self.rejected.as_ref().is_none_or(|(best, _)| *best <= rank) {
                    self.rejected = Some((rank, response));
                }
                Cause::Rejected
            }
            Err(cause) => cause,
        };
        let outcome = Tried {
            peer: peer.shared_name(),
            reason: verdict.reason,
            cause,
            attempts: 1,
            rank,
        };
        self.put(peer.member().id, outcome);
    }

    fn put(&mut self, id: u64, mut outcome: Tried<Error>) {
        if let Some(&place) = self.places.get(&id) {
            outcome.attempts += self.outcomes[place].attempts;
            self.outcomes[place] = outcome;
            self.last = place;
        } else {
            self.last = self.outcomes.len();
            self.places.insert(id, self.last);
            self.outcomes.push(outcome);
        }
    }

    /// The outcome of the latest attempt.
    pub(crate) fn last(&self) -> Option<&Tried<Error>> {
        self.outcomes.get(self.last)
    }

    /// The last outcome of each peer, in the order in which they were first asked.
    pub(crate) fn into_tried(self) -> (Vec<Tried<Error>>, Option<Response>) {
        (self.outcomes, self.rejected.map(|(_, response)| response))
    }

    /// Whether the request is to yield to the runtime after its latest attempt.
    pub(crate) fn is_to_yield(&self) -> bool {
        self.attempts.is_multiple_of(ATTEMPTS_PER_YIELD)
    }

    /// The peer had no room.
    pub(crate) fn add_busy(&mut self, id: u64) {
        self.busy.push(id);
    }

    /// The peer refused the request. Keeps the permit, unless a ticket decides about the peer.
    pub(crate) fn suspect(
        &mut self,
        id: u64,
        permit: Option<AttemptPermit<Target>>,
        kind: &'static str,
    ) {
        self.asked.add_refused(id);
        self.suspects.push(Suspect { id, kind, permit });
        if self.wait.is_some() {
            self.release_probes();
        }
    }

    /// Waits. A request that does holds no probe of a peer that refused it: others may have it.
    pub(crate) fn begin_wait(&mut self, wait: Wait) {
        self.wait = Some(wait);
        self.release_probes();
    }

    fn release_probes(&mut self) {
        let is_probe = |permit: &mut AttemptPermit<Target>| permit.epoch().is_probing();
        for suspect in &mut self.suspects {
            drop(suspect.permit.take_if(is_probe));
        }
    }

    /// The permits of the peers that refused what another peer did.
    pub(crate) fn convicted(
        &mut self,
        kind: &'static str,
    ) -> impl Iterator<Item = AttemptPermit<Target>> {
        let same = move |suspect: &mut Suspect<Target>| suspect.kind == kind;
        let convicted = self.suspects.extract_if(.., same);
        convicted.filter_map(|suspect| suspect.permit)
    }

    /// Releases the permits of the peers that refused the request.
    pub(crate) fn clear_suspects(&mut self) {
        self.suspects.clear();
    }

    /// The first refusal decides.
    pub(crate) fn decide_by_first_refusal(&mut self) {
        let first = self.suspects.first();
        let place = first.and_then(|first| self.places.get(&first.id)).copied();
        if let Some(outcome) = place.and_then(|place| self.outcomes.get_mut(place)) {
            outcome.rank = Rank::DECIDES;
        }
    }

    /// Lets the request go once more to the peers that had no room. False if there are none, or it
    /// did so before.
    pub(crate) fn start_second_pass(&mut self) -> bool {
        if self.second_pass || self.busy.is_empty() {
            return false;
        }
        self.second_pass = true;
        for id in std::mem::take(&mut self.busy) {
            self.asked.forgive(id);
        }
        true
    }

    /// Continues alone, with what the other leg learnt before it ended.
    pub(crate) fn merge(&mut self, other: Self) {
        let mut ids: Vec<(usize, u64)> =
            other.places.into_iter().map(|(id, at)| (at, id)).collect();
        ids.sort_unstable();
        let last = ids.get(other.last).map(|(_, id)| *id);
        for ((_, id), outcome) in ids.into_iter().zip(other.outcomes) {
            self.put(id, outcome);
        }
        // Its latest outcome, which may be that of a peer that it asked again.
        self.last = last.map_or(self.last, |id| self.places[&id]);
        let best = self.rejected.as_ref().map(|(rank, _)| *rank);
        if other.rejected.as_ref().map(|(rank, _)| *rank) >= best {
            self.rejected = other.rejected;
        }
        self.asked.merge(other.asked);
        self.attempts += other.attempts;
        self.elsewhere = 0;
        self.busy.extend(other.busy);
        self.second_pass |= other.second_pass;
        self.suspects.extend(other.suspects);
        self.wait = self.wait.take().or(other.wait);
        self.is_spent |= other.is_spent;
        self.role = Role::Alone;
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use super::*;
    use crate::peers::Peers;

    #[test]
    fn latest_outcome_of_a_leg_is_the_latest_after_it_is_merged() {
        let peers = Peers::new([("a", ()), ("b", ()), ("c", ())]).unwrap();
        let legs = |names: &[&str]| {
            let mut history = History::<(), (), ()>::default();
            for name in names {
                let (peer, verdict) = (peers.get(name).unwrap(), Verdict::degraded());
                let rank = Rank::new(&verdict, peer.member().id);
                history.add(&peer, &verdict, Err(Cause::Error(())), rank);
            }
            history
        };
        let mut first = legs(&["c"]);
        // It came back to a peer that it had asked before.
        first.merge(legs(&["a", "b", "a"]));
        assert_eq!(first.last().map(|last| &*last.peer), Some("a"));
    }
}
