//! The algorithm once more, as plainly as it can be said: a list of peers, each up, ejected until
//! some time, probing or draining; one thread, no atoms, no timers, the clock in hand.
//!
//! The generation rule is an `era`: every change of a peer's state begins a new one (but for
//! draining a peer that is up and restoring it), an attempt belongs to the era it was picked in,
//! and what it learns counts in no other. Only an attempt whose own probe brought its peer back
//! goes over into the era that it began.
//!
//! Picks are not made here: [`Reference::allowed`] says which are right.

use std::collections::BTreeMap;
use std::time::Duration;

use evenhand::{PeerVerdict, State, Verdict};
use tokio::time::Instant;

/// What a request does with no peer left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoneLeft {
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
    pub(crate) none_left: NoneLeft,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ejection {
    pub(crate) until: Instant,
    by_hand: bool,
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

/// Where an attempt stands, and its tickets with it.
#[derive(Clone, Copy, Debug)]
struct Standing {
    instance: u32,
    era: u64,
    /// Its place on the peer is taken: its outcome is not known yet, or waits for another's word.
    open: bool,
    tickets: u32,
}

/// Which peers the next attempt may go to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    Up(Vec<u32>),
    Probe(Vec<u32>),
    Nobody,
}

pub(crate) struct Reference {
    pub(crate) rules: Rules,
    pub(crate) peers: Vec<Peer>,
    standings: BTreeMap<usize, Standing>,
    /// As their readers would see them written.
    pub(crate) events: Vec<String>,
}

impl Reference {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            peers: Vec::new(),
            standings: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn peer(&self, instance: u32) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.instance == instance)
    }

    pub(crate) fn instance_of(&self, serial: usize) -> u32 {
        self.standings[&serial].instance
    }

    fn tell(&mut self, name: &str, what: &str) {
        self.events.push(format!("{name} {what}"));
    }

    // What the clock and the requests ask.

    pub(crate) fn up(&self) -> usize {
        self.peers.iter().filter(|peer| peer.is_up()).count()
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.peers.iter().filter_map(Peer::due).min()
    }

    pub(crate) fn in_flight(&self, instance: u32) -> u32 {
        let here = |standing: &&Standing| standing.instance == instance;
        let count = |standing: &Standing| u32::from(standing.open) + standing.tickets;
        self.standings.values().filter(here).map(count).sum()
    }

    /// Whether what the attempt learns now would change nothing.
    pub(crate) fn is_stale(&self, serial: usize) -> bool {
        let standing = self.standings[&serial];
        self.peer(standing.instance).is_none_or(|peer| {
            peer.era != standing.era || !matches!(peer.is, Is::Up | Is::Probing(..))
        })
    }

    /// The first attempt probes a peer that is due; a retry goes to one that is up while one is
    /// left.
    pub(crate) fn allowed(&self, tried: &[u32]) -> Allowed {
        let now = Instant::now();
        let those = |which: &dyn Fn(&Peer) -> bool| -> Vec<u32> {
            let left = self.peers.iter().filter(|p| !tried.contains(&p.instance));
            left.filter(|p| which(p)).map(|p| p.instance).collect()
        };
        let (up, due) = (those(&Peer::is_up), those(&|p| p.is_due(now)));
        match (up.is_empty(), due.is_empty()) {
            (true, true) => Allowed::Nobody,
            (true, false) => Allowed::Probe(due),
            (false, false) if tried.is_empty() => Allowed::Probe(due),
            (false, _) => Allowed::Up(up),
        }
    }

    /// Whoever could be asked by a request that has tried nobody, and in which era.
    pub(crate) fn candidates(&self) -> Vec<(u32, u64)> {
        let now = Instant::now();
        let there = self.peers.iter().filter(|p| p.is_up() || p.is_due(now));
        there.map(|peer| (peer.instance, peer.era)).collect()
    }

    /// Of the peers that are out, by no operator's hand, those that are due soonest.
    pub(crate) fn last_resort(&self, tried: &[u32]) -> Allowed {
        let free = |peer: &&Peer| match peer.is {
            Is::Ejected(ejection) => !ejection.by_hand && !tried.contains(&peer.instance),
            _ => false,
        };
        let out: Vec<&Peer> = self.peers.iter().filter(free).collect();
        let soonest = out.iter().filter_map(|peer| peer.due()).min();
        let those = out.iter().filter(|peer| peer.due() == soonest);
        match those.map(|peer| peer.instance).collect::<Vec<_>>() {
            none if none.is_empty() => Allowed::Nobody,
            some => Allowed::Probe(some),
        }
    }

    // What attempts do.

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
        let standing = Standing {
            instance,
            era: peer.era,
            open: true,
            tickets: u32::from(ticket),
        };
        self.standings.insert(serial, standing);
        if probes {
            self.tell(&name, "is being probed");
        }
    }

    pub(crate) fn ticket_cloned(&mut self, serial: usize) {
        self.standings.get_mut(&serial).unwrap().tickets += 1;
    }

    pub(crate) fn ticket_dropped(&mut self, serial: usize) {
        self.standings.get_mut(&serial).unwrap().tickets -= 1;
    }

    /// The attempt gives its place back; a probe that has told nothing frees it for the next.
    pub(crate) fn close(&mut self, serial: usize) {
        let standing = self.standings.get_mut(&serial).unwrap();
        standing.open = false;
        let instance = standing.instance;
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

    /// An attempt or its ticket tells what it learnt.
    pub(crate) fn learn(&mut self, serial: usize, verdict: &Verdict) {
        if self.is_stale(serial) {
            return;
        }
        let up = self.up();
        let least = match self.rules.floor {
            Floor::MinUp(peers) => peers,
            Floor::Half => self.peers.len().div_ceil(2),
        };
        let standing = self.standings.get_mut(&serial).unwrap();
        let peer = self
            .peers
            .iter_mut()
            .find(|p| p.instance == standing.instance);
        let peer = peer.unwrap();
        let out_for = verdict.recover_in.unwrap_or(self.rules.interval);
        let out = Is::Ejected(Ejection {
            until: Instant::now() + out_for,
            by_hand: false,
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
                standing.era = peer.era;
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

    // What an operator does.

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
            by_hand: true,
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
            // Nothing is said against it, so the era goes on.
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
