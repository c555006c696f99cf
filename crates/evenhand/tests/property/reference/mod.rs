//! A simple reference implementation of a set: a list of peers, each up, ejected, probing or
//! draining. It has one thread, no atomics and no timers, and reads the clock directly.
//!
//! An `era` models the generation: every change of a peer's state begins a new one, except draining
//! a peer that is up and restoring it. An attempt belongs to the era in which it was picked, and
//! its verdict counts in no other. Only an attempt that brings its peer back moves to the new era,
//! and with it the tickets of others that were sent to the peer while it was out.
//!
//! What is due and what a request does is in [`decisions`](crate::decisions). `attempts` has what
//! outcomes do to a peer, `membership` what operators do to the set.

mod attempts;
mod membership;
pub(crate) mod peer;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use self::peer::{AttemptState, Deferred, Is, Peer};
use crate::decisions::{Candidates, Span, due};
use crate::rules::Rules;

/// An event as it is displayed, but for the due time, which it tells apart.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) peer: String,
    pub(crate) instance: u32,
    pub(crate) what: String,
    pub(crate) due: Option<Span>,
}

pub(crate) struct Reference {
    pub(crate) rules: Rules,
    pub(crate) peers: Vec<Peer>,
    attempts: BTreeMap<usize, AttemptState>,
    /// In the order of the responses.
    pub(crate) deferred: Vec<Deferred>,
    /// How many peers that joined on proof came up and have not yet taken the place of another.
    came_up: usize,
    /// How many more retries the budget has.
    pub(crate) budget: u32,
    start: Instant,
    /// How many requests have begun to wait and have not ended.
    pub(crate) waiting: usize,
    /// One of those must look again: a peer came, or another one has ended.
    pub(crate) lets_in: bool,
    /// How often one of those was called to look again.
    pub(crate) calls: usize,
    /// One of the calls may wait for the next request that begins to wait.
    pub(crate) has_call: bool,
    /// The expected events.
    pub(crate) events: Vec<Told>,
}

impl Reference {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            peers: Vec::new(),
            attempts: BTreeMap::new(),
            deferred: Vec::new(),
            came_up: 0,
            budget: 0,
            start: Instant::now(),
            waiting: 0,
            lets_in: false,
            calls: 0,
            has_call: false,
            events: Vec::new(),
        }
    }

    pub(crate) fn peer(&self, instance: u32) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.instance == instance)
    }

    pub(crate) fn instance_of(&self, serial: usize) -> u32 {
        self.attempts[&serial].instance
    }

    fn tell(&mut self, instance: u32, what: &str, due: Option<Span>) {
        let peer = self.peer(instance).expect("it is told while it is there");
        self.events.push(Told {
            peer: peer.name.clone(),
            instance,
            what: what.to_owned(),
            due,
        });
    }

    /// The moment at which a timer for this one rings: at whole milliseconds.
    pub(crate) fn whole(&self, moment: Instant) -> Instant {
        let nanos = (moment - self.start).as_nanos().div_ceil(1_000_000) * 1_000_000;
        self.start + Duration::from_nanos(nanos as u64)
    }

    // Queries.

    pub(crate) fn up(&self) -> usize {
        self.peers.iter().filter(|peer| peer.is_up()).count()
    }

    /// Whether every peer is being drained.
    pub(crate) fn is_drained(&self) -> bool {
        self.peers.iter().all(|peer| peer.is == Is::Draining)
    }

    /// Whether no peer is up and a request waits.
    pub(crate) fn demand(&self) -> bool {
        self.up() == 0 && self.waiting > 0
    }

    /// When this peer is due, if it is ejected.
    pub(crate) fn due(&self, peer: &Peer, demand: bool) -> Option<Span> {
        let record = peer.record.filter(|_| peer.is == Is::Ejected);
        record.map(|record| due(&record, demand, &self.rules))
    }

    /// When the first ejected peer is due, of those for which `may` holds.
    pub(crate) fn next_due(&self, demand: bool, may: impl Fn(u32) -> bool) -> Option<Span> {
        let peers = self.peers.iter().filter(|peer| may(peer.instance));
        let due = peers.filter_map(|peer| self.due(peer, demand));
        due.reduce(Span::earlier)
    }

    pub(crate) fn in_flight(&self, instance: u32) -> u32 {
        let on_peer = |attempt: &&AttemptState| attempt.instance == instance;
        let attempts = self.attempts.values().filter(on_peer);
        attempts.map(AttemptState::in_flight).sum()
    }

    /// Whether a verdict of this attempt would be ignored now.
    pub(crate) fn is_stale(&self, serial: usize) -> bool {
        let attempt = self.attempts[&serial];
        self.peer(attempt.instance).is_none_or(|peer| {
            peer.era != attempt.era || !matches!(peer.is, Is::Up | Is::Probing(_))
        })
    }

    /// Which peers there are. Of peers whose jitter is not known, `jitter_is_over` says whether they
    /// are due.
    pub(crate) fn candidates(&self, demand: bool, jitter_is_over: bool) -> Candidates {
        let now = Instant::now();
        let those = |which: &dyn Fn(&Peer) -> bool| -> Vec<u32> {
            let peers = self.peers.iter().filter(|peer| which(peer));
            peers.map(|peer| peer.instance).collect()
        };
        Candidates {
            up: those(&Peer::is_up),
            due: those(&|peer| {
                let due = self.due(peer, demand);
                due.is_some_and(|due| (if jitter_is_over { due.from } else { due.to }) <= now)
            }),
            open: those(&|peer| {
                let is_out = matches!(peer.is, Is::Ejected | Is::Probing(_));
                let record = peer.record.filter(|_| is_out && !peer.is_joining);
                record.is_some_and(|record| {
                    record.set.is_none() || due(&record, false, &self.rules).to <= now
                })
            }),
        }
    }

    /// Whether these are enough refusals to end a request.
    pub(crate) fn refuse(&self, refused: &[u32]) -> bool {
        let all = self
            .peers
            .iter()
            .filter(|peer| peer.is != Is::Draining)
            .all(|peer| refused.contains(&peer.instance));
        all || refused.len() >= self.rules.max_refusals
    }

    /// How many peers a request that waits asks before it waits again.
    pub(crate) fn share(&self) -> usize {
        self.peers.len().div_ceil(self.waiting.max(1)).max(1)
    }

    // Requests.

    /// A request that waits is called to look again.
    fn call(&mut self) {
        self.calls += 1;
        self.has_call = true;
    }

    /// The same, for what it waits for.
    fn call_one(&mut self) {
        self.lets_in = true;
        self.call();
    }

    /// Asks the retry budget.
    pub(crate) fn has_budget(&mut self) -> bool {
        let has = self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        has || !self.rules.has_budget
    }

    pub(crate) fn begins_to_wait(&mut self) {
        self.lets_in &= self.waiting > 0;
        self.waiting += 1;
    }

    pub(crate) fn waits_no_more(&mut self) {
        self.waiting -= 1;
        self.call_one();
    }
}
