//! A simple reference implementation of a set: a list of peers, each up, ejected, probing or
//! draining. It has one thread, no atomics and no timers, and reads the clock directly.
//!
//! An `era` models the generation: every change of a peer's state begins a new one, except draining
//! a peer that is up and restoring it. An attempt belongs to the era in which it was picked, and
//! its verdict counts in no other. Only an attempt that brings its peer back moves to the new era,
//! and with it the tickets of others that were sent to the peer while it was out.
//!
//! What is due and what a request does is in [`decisions`](crate::decisions).

use std::collections::BTreeMap;
use std::time::Duration;

use evenhand::{PeerVerdict, Verdict};
use tokio::time::Instant;

use crate::decisions::{Candidates, Record, Span, Way, due};
use crate::peer::{AttemptState, Is, Peer, up_since};
use crate::rules::{Floor, Rules};

/// An event as it is displayed, but for the due time, which it tells apart.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) peer: String,
    pub(crate) what: String,
    pub(crate) due: Option<Span>,
}

pub(crate) struct Reference {
    pub(crate) rules: Rules,
    pub(crate) peers: Vec<Peer>,
    attempts: BTreeMap<usize, AttemptState>,
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

    fn tell(&mut self, peer: &str, what: &str, due: Option<Span>) {
        self.events.push(Told {
            peer: peer.to_owned(),
            what: what.to_owned(),
            due,
        });
    }

    // Queries.

    pub(crate) fn up(&self) -> usize {
        self.peers.iter().filter(|peer| peer.is_up()).count()
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
        let count = |attempt: &AttemptState| u32::from(attempt.is_open) + attempt.tickets;
        self.attempts.values().filter(on_peer).map(count).sum()
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
                let record = peer.record.filter(|_| is_out);
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

    fn call_one(&mut self) {
        self.lets_in = true;
        self.calls += 1;
        self.has_call = true;
    }

    pub(crate) fn begins_to_wait(&mut self) {
        self.lets_in &= self.waiting > 0;
        self.waiting += 1;
    }

    pub(crate) fn waits_no_more(&mut self) {
        self.waiting -= 1;
        self.call_one();
    }

    // Attempts.

    pub(crate) fn picked(&mut self, serial: usize, instance: u32, way: Way, ticket: bool) {
        let peer = self.peers.iter_mut().find(|p| p.instance == instance);
        let peer = peer.expect("the pick was allowed");
        let name = peer.name.clone();
        if way == Way::Probe {
            peer.becomes(Is::Probing(serial));
        }
        let attempt = AttemptState {
            instance,
            way,
            picked_in: peer.era,
            era: peer.era,
            is_open: true,
            tickets: u32::from(ticket),
        };
        self.attempts.insert(serial, attempt);
        if way == Way::Probe {
            self.tell(&name, "is being probed", None);
        }
    }

    pub(crate) fn ticket_cloned(&mut self, serial: usize) {
        self.attempts.get_mut(&serial).unwrap().tickets += 1;
    }

    pub(crate) fn ticket_dropped(&mut self, serial: usize) {
        self.attempts.get_mut(&serial).unwrap().tickets -= 1;
    }

    pub(crate) fn is_open(&self, serial: usize) -> bool {
        self.attempts[&serial].is_open
    }

    /// A request that waits holds no probe of a peer that refused it.
    pub(crate) fn close_probe(&mut self, serial: usize) {
        if self.attempts[&serial].way == Way::Probe {
            self.close(serial);
        }
    }

    /// The attempt releases its permit. A probe without a verdict leaves its peer due.
    pub(crate) fn close(&mut self, serial: usize) {
        let attempt = self.attempts.get_mut(&serial).unwrap();
        attempt.is_open = false;
        let instance = attempt.instance;
        let probed = |peer: &&mut Peer| peer.instance == instance && peer.is == Is::Probing(serial);
        if let Some(peer) = self.peers.iter_mut().find(probed) {
            peer.becomes(Is::Ejected);
            let record = peer.record.as_mut().expect("it was ejected");
            record.released = record.released.or(Some(Instant::now()));
            let name = peer.name.clone();
            self.tell(&name, "had its probe cancelled", None);
        }
    }

    /// An attempt ends with this verdict.
    pub(crate) fn settle(&mut self, serial: usize, verdict: &Verdict) {
        let attempt = self.attempts[&serial];
        // A request that was sent to a peer that is out says nothing of it once it is back.
        if attempt.way != Way::Open || attempt.era == attempt.picked_in {
            self.report(serial, verdict);
        }
    }

    /// An attempt's ticket reports a verdict.
    pub(crate) fn report(&mut self, serial: usize, verdict: &Verdict) {
        let (up, now, rules) = (self.up(), Instant::now(), self.rules);
        let least = match rules.floor {
            Floor::MinUp(peers) => peers,
            Floor::Half => self.peers.len().div_ceil(2),
        };
        let attempt = self.attempts[&serial];
        let of_attempt = |peer: &&mut Peer| peer.instance == attempt.instance;
        let Some(peer) = self.peers.iter_mut().find(of_attempt) else {
            return;
        };
        let is_probe = peer.is == Is::Probing(serial);
        if peer.era != attempt.era || peer.is == Is::Draining {
            return;
        }
        let told = match (verdict.peer, peer.is) {
            (PeerVerdict::Neutral | PeerVerdict::Suspect, _) => return,
            (PeerVerdict::Healthy, Is::Up) => {
                peer.failures = 0;
                return;
            }
            (PeerVerdict::Healthy, _) => {
                let was_probed = matches!(peer.is, Is::Probing(_)) && !is_probe;
                peer.becomes(Is::Up);
                if let Some(record) = &mut peer.record {
                    *record = Record {
                        streak: record.streak,
                        ..up_since(now)
                    };
                }
                // So do all that were sent while the peer was out, unless a probe was overtaken.
                let era = peer.era;
                let those = self.attempts.values_mut().filter(|one| {
                    one.instance == attempt.instance && one.era == attempt.era && !was_probed
                });
                those.for_each(|one| one.era = era);
                "recovered"
            }
            (_, Is::Up) => {
                let limit = match verdict.peer {
                    PeerVerdict::Down => rules.down_limit,
                    _ => rules.degraded_limit,
                };
                peer.failures += 1;
                if peer.failures < limit || up <= least {
                    return;
                }
                "ejected"
            }
            _ if is_probe => "failed its probe",
            // It was asked although it was out.
            _ => return,
        };
        let mut told = told.to_owned();
        let mut told_due = None;
        if told != "recovered" {
            let relapses = |record: &Record| is_probe || now - record.since < rules.forgets_after();
            let streak = peer
                .record
                .filter(relapses)
                .map_or(0, |record| record.streak);
            let record = Record {
                streak: streak + 1,
                set: verdict.recover_in.map(|time| now + time),
                ..up_since(now)
            };
            peer.becomes(Is::Ejected);
            peer.record = Some(record);
            told_due = Some(due(&record, false, &rules));
            told += &verdict
                .reason
                .map_or(String::new(), |why| format!(" ({why})"));
        }
        let name = peer.name.clone();
        if told_due.is_none() {
            self.call_one();
        }
        self.tell(&name, &told, told_due);
    }

    // Operators.

    pub(crate) fn add(&mut self, name: &str, instance: u32) {
        self.peers.push(Peer {
            name: name.to_owned(),
            instance,
            is: Is::Up,
            record: None,
            era: 0,
            failures: 0,
        });
        self.call_one();
        self.tell(name, "was added", None);
    }

    pub(crate) fn remove(&mut self, instance: u32) {
        let at = self.peers.iter().position(|p| p.instance == instance);
        let peer = self.peers.remove(at.unwrap());
        self.calls += 1;
        self.has_call = true;
        self.tell(&peer.name, "was removed", None);
    }

    fn named(&mut self, name: &str) -> &mut Peer {
        self.peers.iter_mut().find(|p| p.name == name).unwrap()
    }

    pub(crate) fn eject(&mut self, name: &str, time: Duration) {
        let (now, peer) = (Instant::now(), self.named(name));
        peer.becomes(Is::Ejected);
        peer.record = Some(Record {
            set: Some(now + time),
            ..up_since(now)
        });
        let due = Some(Span::at(now + time));
        self.tell(name, "ejected (by an operator)", due);
    }

    pub(crate) fn drain(&mut self, name: &str) {
        let peer = self.named(name);
        match peer.is {
            Is::Draining => return,
            // Draining is no ejection, so the era stays.
            Is::Up => peer.is = Is::Draining,
            _ => peer.becomes(Is::Draining),
        }
        peer.record = None;
        self.tell(name, "is being drained", None);
    }

    pub(crate) fn restore(&mut self, name: &str) {
        let peer = self.named(name);
        match peer.is {
            Is::Up => return,
            Is::Draining => peer.is = Is::Up,
            _ => peer.becomes(Is::Up),
        }
        peer.record = None;
        self.call_one();
        self.tell(name, "was restored by an operator", None);
    }
}
