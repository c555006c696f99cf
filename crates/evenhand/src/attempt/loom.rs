//! Models of a probe whose ticket decides: every interleaving of its response, a report, the limit,
//! the drop of the ticket, and an operator.
//!
//! `RUSTFLAGS="--cfg evenhand_loom" cargo test -p evenhand --lib --release loom_`

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::deferral::{Decision, Stage};
use crate::classify::Verdict;
use crate::set::health::{Health, Phase, Reading};

/// A probe, its permit and its ticket, as `AttemptPermit::defer` and `Deferral` use them. The report
/// brings the peer back; the response's own verdict fails the probe.
struct Probe {
    health: Health,
    decision: Decision,
    generation: u32,
    counted: AtomicU32,
}

impl Probe {
    fn new() -> Arc<Self> {
        let health = Health::new();
        health.eject(0).unwrap();
        let generation = health.claim().unwrap().generation;
        Arc::new(Self {
            health,
            decision: Decision::new(Stage::Open),
            generation,
            counted: AtomicU32::new(0),
        })
    }

    fn deferred() -> Arc<Self> {
        let probe = Self::new();
        probe.respond();
        probe
    }

    fn count(&self, transition: impl FnOnce(&Health, u32) -> Option<Reading>) {
        self.counted.fetch_add(1, Ordering::Relaxed);
        transition(&self.health, self.generation);
    }

    fn respond(&self) {
        if self.decision.defer(&Verdict::down()) == Stage::Decided {
            self.health.end_probe(self.generation);
        }
    }

    fn report(&self) {
        let before = self.decision.begin_report();
        if matches!(before, Stage::Open | Stage::Deferred(_)) {
            self.count(Health::recover);
        }
        let is_left = before == Stage::Open && self.decision.decide() == Stage::Left;
        if is_left || matches!(before, Stage::Deferred(_)) {
            self.health.end_probe(self.generation);
        }
    }

    fn expire(&self) {
        if let Stage::Deferred(_) = self.decision.decide() {
            self.count(Health::end_probe);
            self.health.end_probe(self.generation);
        }
    }

    fn counted(&self) -> u32 {
        self.counted.load(Ordering::Relaxed)
    }
}

/// The last clone of the ticket.
impl Drop for Probe {
    fn drop(&mut self) {
        if let Stage::Deferred(_) = self.decision.decide() {
            self.health.end_probe(self.generation);
        }
        let phase = self.health.read().phase;
        assert_ne!(phase, Phase::Probing, "the permit is released");
    }
}

fn spawn(probe: &Arc<Probe>, act: fn(&Probe)) -> thread::JoinHandle<()> {
    let probe = probe.clone();
    thread::spawn(move || act(&probe))
}

/// A report that meets the response, and then the limit: one counts.
#[test]
fn loom_deferred_probe_counts_once() {
    loom::model(|| {
        let probe = Probe::new();
        let response = spawn(&probe, |probe| {
            probe.respond();
            probe.expire();
        });
        probe.report();
        response.join().unwrap();
        assert_eq!(probe.counted(), 1);
        let phase = probe.health.read().phase;
        assert!(matches!(phase, Phase::Up | Phase::Ejected));
    });
}

/// A report that meets the response: it brings the peer back, whichever comes first.
#[test]
fn loom_report_that_meets_the_response_counts() {
    loom::model(|| {
        let probe = Probe::new();
        let response = spawn(&probe, Probe::respond);
        probe.report();
        response.join().unwrap();
        assert_eq!(probe.health.read().phase, Phase::Up);
    });
}

/// Two reports and the limit: one counts.
#[test]
fn loom_first_of_two_reports_and_the_limit_counts() {
    loom::model(|| {
        let probe = Probe::deferred();
        let other = spawn(&probe, Probe::report);
        let limit = spawn(&probe, Probe::expire);
        probe.report();
        other.join().unwrap();
        limit.join().unwrap();
        assert_eq!(probe.counted(), 1);
    });
}

/// The limit meets the drop of the last clone: the limit counts or nothing does, and the permit is
/// released either way.
#[test]
fn loom_deferred_probe_is_released_by_the_last_drop() {
    loom::model(|| {
        let probe = Probe::deferred();
        let limit = spawn(&probe, Probe::expire);
        drop(probe);
        limit.join().unwrap();
    });
}

/// The last clone is dropped while the response comes: the permit is released either way.
#[test]
fn loom_ticket_dropped_as_its_response_comes_keeps_no_permit() {
    loom::model(|| {
        let probe = Probe::new();
        let response = spawn(&probe, Probe::respond);
        drop(probe);
        response.join().unwrap();
    });
}

/// Promise 4, with a verdict and a release that come late: what an operator did last stands.
#[test]
fn loom_deferred_probe_undoes_no_operator() {
    for operator in [Health::eject_manually, Health::restore, Health::drain] {
        loom::model(move || {
            let probe = Probe::deferred();
            let limit = spawn(&probe, Probe::expire);
            let report = spawn(&probe, Probe::report);
            let before = probe.health.read();
            let after = operator(&probe.health);
            limit.join().unwrap();
            report.join().unwrap();
            assert_eq!(probe.counted(), 1);
            // `None`: the peer was in that state already.
            let stands = after.is_none_or(|after| probe.health.read() == after);
            assert!(stands, "{before:?}: {after:?}");
        });
    }
}
