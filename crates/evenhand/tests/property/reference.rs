//! A simple reference implementation: a list of peers, each up, ejected until some time, probing or
//! draining. It has one thread, no atomics and no timers, and reads the clock directly.
//!
//! An `era` models the generation: every change of a peer's state begins a new one, except draining
//! a peer that is up and restoring it. An attempt belongs to the era in which it was picked, and
//! its verdict counts in no other. Only a probe that restores its peer moves to the new era.
//!
//! It makes no picks: [`Reference::allowed`] says which are correct.

use std::collections::BTreeMap;
use std::time::Duration;

use evenhand::{PeerVerdict, State, Verdict};
use tokio::time::Instant;

/// What a request does when no peer is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllDown {
    Fail,
    Wait(Duration),
    LastResort,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Floor {
    MinUp(usize),
    Half,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) interval: Duration,
    pub(crate) down_limit: u32,
    pub(crate) degraded_limit: u32,
    pub(crate) floor: Floor,
    pub(crate) all_down: AllDown,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ejection {
    pub(crate) until: Instant,
    manual: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Is {
    Up,
    Ejected(Ejection),
    Probing(Ejection, usize),
    Draining,
}

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) instance: u32,
    pub(crate) is: Is,
    era: u64,
    failures: u32,
}

impl Peer {
    fn becomes(&mut self, is: Is) {
        self.is = is;
        self.era += 1;
        self.failures = 0;
    }

    pub(crate) fn state(&self) -> State {
        match self.is {
            Is::Up => State::Up,
            Is::Ejected(_) => State::Ejected,
            Is::Probing(..) => State::Probing,
            Is::Draining => State::Draining,
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        match self.is {
            Is::Ejected(ejection) => Some(ejection.until),
            _ => None,
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.is, Is::Up)
    }

    fn is_due(&self, now: Instant) -> bool {
        matches!(self.is, Is::Ejected(Ejection { until, .. }) if until <= now)
    }
}

/// The state of an attempt and of its tickets.
#[derive(Clone, Copy, Debug)]
struct AttemptState {
    instance: u32,
    era: u64,
    /// It holds its permit: its outcome is unknown, or it waits for another peer's verdict.
    open: bool,
    tickets: u32,
}

/// Which peers the next attempt may go to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    Up(Vec<u32>),
    Probe(Vec<u32>),
    NoPeer,
}

pub(crate) struct Reference {
    pub(crate) rules: Rules,
    pub(crate) peers: Vec<Peer>,
    attempts: BTreeMap<usize, AttemptState>,
    /// The expected events, as they are displayed.
    pub(crate) events: Vec<String>,
}

impl Reference {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            peers: Vec::new(),
            attempts: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn peer(&self, instance: u32) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.instance == instance)
    }

    pub(crate) fn instance_of(&self, serial: usize) -> u32 {
        self.attempts[&serial].instance
    }

    fn tell(&mut self, name: &str, what: &str) {
        self.events.push(format!("{name} {what}"));
    }

    // Queries.

    pub(crate) fn up(&self) -> usize {
        self.peers.iter().filter(|peer| peer.is_up()).count()
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.peers.iter().filter_map(Peer::due).min()
    }

    pub(crate) fn in_flight(&self, instance: u32) -> u32 {
        let on_peer = |attempt: &&AttemptState| attempt.instance == instance;
        let count = |attempt: &AttemptState| u32::from(attempt.open) + attempt.tickets;
        self.attempts.values().filter(on_peer).map(count).sum()
    }

    /// Whether a verdict of this attempt would be ignored now.
    pub(crate) fn is_stale(&self, serial: usize) -> bool {
        let attempt = self.attempts[&serial];
        self.peer(attempt.instance).is_none_or(|peer| {
            peer.era != attempt.era || !matches!(peer.is, Is::Up | Is::Probing(..))
        })
    }

    /// The first attempt probes a peer that is due. A retry goes to a peer that is up, if one is
    /// left.
    pub(crate) fn allowed(&self, tried: &[u32]) -> Allowed {
        let now = Instant::now();
        let those = |which: &dyn Fn(&Peer) -> bool| -> Vec<u32> {
            let left = self.peers.iter().filter(|p| !tried.contains(&p.instance));
            left.filter(|p| which(p)).map(|p| p.instance).collect()
        };
        let (up, due) = (those(&Peer::is_up), those(&|p| p.is_due(now)));
        match (up.is_empty(), due.is_empty()) {
            (true, true) => Allowed::NoPeer,
            (true, false) => Allowed::Probe(due),
            (false, false) if tried.is_empty() => Allowed::Probe(due),
            (false, _) => Allowed::Up(up),
        }
    }

    /// The peers that a new request could try, and their eras.
    pub(crate) fn candidates(&self) -> Vec<(u32, u64)> {
        let now = Instant::now();
        let there = self.peers.iter().filter(|p| p.is_up() || p.is_due(now));
        there.map(|peer| (peer.instance, peer.era)).collect()
    }

    /// Of the peers that are ejected, but not manually, those that are due soonest.
    pub(crate) fn last_resort(&self, tried: &[u32]) -> Allowed {
        let free = |peer: &&Peer| match peer.is {
            Is::Ejected(ejection) => !ejection.manual && !tried.contains(&peer.instance),
            _ => false,
        };
        let out: Vec<&Peer> = self.peers.iter().filter(free).collect();
        let soonest = out.iter().filter_map(|peer| peer.due()).min();
        let those = out.iter().filter(|peer| peer.due() == soonest);
        match those.map(|peer| peer.instance).collect::<Vec<_>>() {
            none if none.is_empty() => Allowed::NoPeer,
            some => Allowed::Probe(some),
        }
    }

    // Attempts.

    pub(crate) fn picked(&mut self, serial: usize, instance: u32, ticket: bool) {
        let peer = self.peers.iter_mut().find(|p| p.instance == instance);
        let peer = peer.expect("the pick was allowed");
        let name = peer.name.clone();
        let probes = match peer.is {
            Is::Ejected(ejection) => {
                peer.becomes(Is::Probing(ejection, serial));
                true
            }
            _ => false,
        };
        let attempt = AttemptState {
            instance,
            era: peer.era,
            open: true,
            tickets: u32::from(ticket),
        };
        self.attempts.insert(serial, attempt);
        if probes {
            self.tell(&name, "is being probed");
        }
    }

    pub(crate) fn ticket_cloned(&mut self, serial: usize) {
        self.attempts.get_mut(&serial).unwrap().tickets += 1;
    }

    pub(crate) fn ticket_dropped(&mut self, serial: usize) {
        self.attempts.get_mut(&serial).unwrap().tickets -= 1;
    }

    /// The attempt releases its permit. A probe without a verdict leaves its peer due.
    pub(crate) fn close(&mut self, serial: usize) {
        let attempt = self.attempts.get_mut(&serial).unwrap();
        attempt.open = false;
        let instance = attempt.instance;
        let Some(peer) = self.peers.iter_mut().find(|p| p.instance == instance) else {
            return;
        };
        if let Is::Probing(ejection, by) = peer.is
            && by == serial
        {
            peer.becomes(Is::Ejected(Ejection {
                until: ejection.until.min(Instant::now()),
                ..ejection
            }));
            let name = peer.name.clone();
            self.tell(&name, "had its probe cancelled");
        }
    }

    /// An attempt or its ticket reports a verdict.
    pub(crate) fn report(&mut self, serial: usize, verdict: &Verdict) {
        if self.is_stale(serial) {
            return;
        }
        let up = self.up();
        let least = match self.rules.floor {
            Floor::MinUp(peers) => peers,
            Floor::Half => self.peers.len().div_ceil(2),
        };
        let attempt = self.attempts.get_mut(&serial).unwrap();
        let peer = self
            .peers
            .iter_mut()
            .find(|p| p.instance == attempt.instance);
        let peer = peer.unwrap();
        let out_for = verdict.recover_in.unwrap_or(self.rules.interval);
        let out = Is::Ejected(Ejection {
            until: Instant::now() + out_for,
            manual: false,
        });
        let because = verdict
            .reason
            .map_or(String::new(), |why| format!(" ({why})"));
        let next = format!("{because}; next probe in {out_for:.1?}");
        let told = match (verdict.peer, peer.is) {
            (PeerVerdict::Neutral | PeerVerdict::Suspect, _) => return,
            (PeerVerdict::Healthy, Is::Up) => {
                peer.failures = 0;
                return;
            }
            (PeerVerdict::Healthy, _) => {
                peer.becomes(Is::Up);
                attempt.era = peer.era;
                "recovered".to_owned()
            }
            (_, Is::Up) => {
                let limit = match verdict.peer {
                    PeerVerdict::Down => self.rules.down_limit,
                    _ => self.rules.degraded_limit,
                };
                peer.failures += 1;
                if peer.failures < limit || up <= least {
                    return;
                }
                peer.becomes(out);
                format!("ejected{next}")
            }
            _ => {
                peer.becomes(out);
                format!("failed its probe{next}")
            }
        };
        let name = peer.name.clone();
        self.tell(&name, &told);
    }

    // Operators.

    pub(crate) fn add(&mut self, name: &str, instance: u32) {
        self.peers.push(Peer {
            name: name.to_owned(),
            instance,
            is: Is::Up,
            era: 0,
            failures: 0,
        });
        self.tell(name, "was added");
    }

    pub(crate) fn remove(&mut self, instance: u32) {
        let at = self.peers.iter().position(|p| p.instance == instance);
        let peer = self.peers.remove(at.unwrap());
        self.tell(&peer.name, "was removed");
    }

    fn named(&mut self, name: &str) -> &mut Peer {
        self.peers.iter_mut().find(|p| p.name == name).unwrap()
    }

    pub(crate) fn eject(&mut self, name: &str, time: Duration) {
        self.named(name).becomes(Is::Ejected(Ejection {
            until: Instant::now() + time,
            manual: true,
        }));
        self.tell(
            name,
            &format!("ejected (by an operator); next probe in {time:.1?}"),
        );
    }

    pub(crate) fn drain(&mut self, name: &str) {
        let peer = self.named(name);
        match peer.is {
            Is::Draining => return,
            // Draining is no ejection, so the era stays.
            Is::Up => peer.is = Is::Draining,
            _ => peer.becomes(Is::Draining),
        }
        self.tell(name, "is being drained");
    }

    pub(crate) fn restore(&mut self, name: &str) {
        let peer = self.named(name);
        match peer.is {
            Is::Up => return,
            Is::Draining => peer.is = Is::Up,
            _ => peer.becomes(Is::Up),
        }
        self.tell(name, "was restored by an operator");
    }
}
