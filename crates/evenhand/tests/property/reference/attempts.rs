//! Attempts and their tickets, and what their outcomes do to a peer.

use evenhand::{PeerVerdict, Verdict};
use tokio::time::Instant;

use super::Reference;
use super::peer::{AttemptState, Deferred, Is, Peer, up_since};
use crate::controlled_connector::Tickets;
use crate::decisions::{Record, Way, due};
use crate::rules::Floor;

impl Reference {
    pub(crate) fn picked(&mut self, serial: usize, instance: u32, way: Way, tickets: Tickets) {
        let peer = self.peers.iter_mut().find(|p| p.instance == instance);
        let peer = peer.expect("the pick was allowed");
        if way == Way::Probe {
            peer.becomes(Is::Probing(serial));
        }
        let attempt = AttemptState {
            instance,
            way,
            picked_in: peer.era,
            era: peer.era,
            is_open: true,
            plain: tickets.plain,
            deciding: tickets.deciding,
            is_decided: false,
        };
        self.attempts.insert(serial, attempt);
        if way == Way::Probe {
            self.tell(instance, "is being probed", None);
        }
    }

    fn attempt(&mut self, serial: usize) -> &mut AttemptState {
        self.attempts.get_mut(&serial).unwrap()
    }

    // Tickets.

    pub(crate) fn ticket_cloned(&mut self, serial: usize, decides: bool) {
        let attempt = self.attempt(serial);
        match decides {
            true => attempt.deciding += 1,
            false => attempt.plain += 1,
        }
    }

    pub(crate) fn ticket_dropped(&mut self, serial: usize, decides: bool) {
        let attempt = self.attempt(serial);
        if !decides {
            attempt.plain -= 1;
            return;
        }
        attempt.deciding -= 1;
        if attempt.deciding == 0 {
            self.end_deferral(serial);
        }
    }

    /// A ticket reports a verdict. Of one that decides, the first counts.
    pub(crate) fn ticket_reports(&mut self, serial: usize, decides: bool, verdict: &Verdict) {
        if !decides {
            self.report(serial, verdict);
        } else if !std::mem::replace(&mut self.attempt(serial).is_decided, true) {
            self.report(serial, verdict);
            self.end_deferral(serial);
        }
    }

    /// The response of an attempt has come. Returns whether its verdict counts; else a ticket has
    /// decided, or is to.
    pub(crate) fn responds(&mut self, serial: usize, verdict: &Verdict) -> bool {
        let limit = self.whole(Instant::now() + self.rules.ticket_timeout);
        let attempt = self.attempt(serial);
        if attempt.is_decided {
            self.close(serial);
            return false;
        }
        let waits = attempt.deciding > 0;
        if waits {
            // The ticket holds the probe from now on.
            attempt.is_open = false;
            self.deferred.push(Deferred {
                serial,
                verdict: *verdict,
                limit,
            });
        }
        !waits
    }

    /// Those that have waited for long enough wait no more.
    pub(crate) fn pass_limits(&mut self) {
        for one in self.deferred.clone() {
            if one.limit <= Instant::now() {
                self.attempt(one.serial).is_decided = true;
                self.settle(one.serial, &one.verdict);
                self.end_deferral(one.serial);
            }
        }
    }

    /// The attempt waits for its ticket no more, if it did.
    fn end_deferral(&mut self, serial: usize) {
        let ended = self.deferred.extract_if(.., |one| one.serial == serial);
        if ended.count() > 0 {
            self.end_probe(serial);
        }
    }

    // Outcomes.

    pub(crate) fn is_open(&self, serial: usize) -> bool {
        self.attempts[&serial].is_open
    }

    /// A request that waits holds no probe of a peer that refused it.
    pub(crate) fn close_probe(&mut self, serial: usize) {
        if self.attempts[&serial].way == Way::Probe {
            self.close(serial);
        }
    }

    /// The attempt releases its permit, if it has it.
    pub(crate) fn close(&mut self, serial: usize) {
        if std::mem::take(&mut self.attempt(serial).is_open) {
            self.end_probe(serial);
        }
    }

    /// A probe without a verdict leaves its peer due.
    fn end_probe(&mut self, serial: usize) {
        let instance = self.instance_of(serial);
        let probed = |peer: &&mut Peer| peer.instance == instance && peer.is == Is::Probing(serial);
        if let Some(peer) = self.peers.iter_mut().find(probed) {
            peer.becomes(Is::Ejected);
            let record = peer.record.as_mut().expect("it was ejected");
            record.released = record.released.or(Some(Instant::now()));
            self.tell(instance, "had its probe cancelled", None);
        }
    }

    /// The response of an attempt counts with this verdict.
    pub(crate) fn settle(&mut self, serial: usize, verdict: &Verdict) {
        let attempt = self.attempts[&serial];
        // A request that was sent to a peer that is out says nothing of it once it is back.
        if attempt.way != Way::Open || attempt.era == attempt.picked_in {
            self.report(serial, verdict);
        }
    }

    fn report(&mut self, serial: usize, verdict: &Verdict) {
        let (up, now, rules) = (self.up(), Instant::now(), self.rules);
        let least = match rules.floor {
            Floor::MinUp(peers) => peers,
            Floor::Half => self.proved().div_ceil(2),
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
        if told_due.is_none() {
            self.comes_up(attempt.instance);
            self.call_one();
        }
        self.tell(attempt.instance, &told, told_due);
    }
}
