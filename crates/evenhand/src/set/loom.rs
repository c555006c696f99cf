//! Models of the health word and of the count of attempts in flight: every interleaving of a few
//! threads.
//!
//! `RUSTFLAGS="--cfg evenhand_loom" cargo test -p evenhand --lib --release loom_`

use loom::sync::Arc;
use loom::sync::atomic::{Ordering, fence};
use loom::thread;

use super::health::{Health, Phase};
use super::in_flight::InFlight;

fn eject(health: &Health) {
    health.eject(0).unwrap();
}

/// Promise 3: at most one probe is out.
#[test]
fn loom_one_claimant_gets_the_probe() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        eject(&health);
        let rival = {
            let health = health.clone();
            thread::spawn(move || health.claim().is_some())
        };
        let mine = health.claim().is_some();
        let theirs = rival.join().unwrap();
        assert!(mine ^ theirs);
    });
}

/// Promise 3: a probe that is dropped releases its permit, and never do two hold it.
#[test]
fn loom_released_probe_can_be_claimed_again() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        eject(&health);
        let probe = health.claim().unwrap();
        let rival = {
            let health = health.clone();
            thread::spawn(move || health.claim())
        };
        let released = health.end_probe(probe.generation).is_some();
        assert!(released, "the holder of the place can always free it");
        match rival.join().unwrap() {
            Some(theirs) => assert_eq!(health.read(), theirs),
            None => assert!(health.claim().is_some(), "a freed place can be taken"),
        }
    });
}

/// Promise 4: of two outcomes of one generation one ejects; an outcome from before a recovery
/// ejects no peer.
#[test]
fn loom_one_outcome_of_a_generation_ejects() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        let late = {
            let health = health.clone();
            thread::spawn(move || health.eject(0).is_some())
        };
        let mine = health.eject(0).is_some();
        if mine {
            // A whole round of recovery races with the late outcome.
            let probe = health.claim().unwrap();
            health.recover(probe.generation).unwrap();
        }
        let theirs = late.join().unwrap();
        assert!(mine ^ theirs);
        if mine {
            assert_eq!(
                health.read().phase,
                Phase::Up,
                "the late failure ejected no peer"
            );
        }
    });
}

/// Promise 4: a slow success from before the ejection brings no peer back.
#[test]
fn loom_slow_success_revives_no_ejected_peer() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        assert_eq!(health.degrade(0), Some(1));
        let slow = {
            let health = health.clone();
            thread::spawn(move || {
                health.reset_failures(0);
                health.recover(0)
            })
        };
        let ejected = health.eject(0).unwrap();
        assert_eq!(slow.join().unwrap(), None);
        assert_eq!(health.read(), ejected);
    });
}

/// `Degraded` outcomes are counted one by one, none lost.
#[test]
fn loom_no_degraded_outcome_is_lost() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        let other = {
            let health = health.clone();
            thread::spawn(move || health.degrade(0).unwrap())
        };
        let mine = health.degrade(0).unwrap();
        let theirs = other.join().unwrap();
        assert_eq!(mine + theirs, 3);
        assert_eq!(health.read().count, 2);
    });
}

/// The probe's own verdict and its cancellation race: one of them counts.
#[test]
fn loom_probe_ends_once() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        eject(&health);
        let probe = health.claim().unwrap();
        let cancelled = {
            let health = health.clone();
            thread::spawn(move || health.end_probe(probe.generation).is_some())
        };
        let failed = health.end_probe(probe.generation).is_some();
        assert!(failed ^ cancelled.join().unwrap());
    });
}

/// Promise 3: a peer that comes back is not probed.
#[test]
fn loom_recovered_peer_is_not_claimed() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        eject(&health);
        let probe = health.claim().unwrap();
        let rival = {
            let health = health.clone();
            thread::spawn(move || health.claim())
        };
        let up = health.recover(probe.generation).unwrap();
        assert_eq!(rival.join().unwrap(), None);
        assert_eq!(health.read(), up);
    });
}

/// Promise 4: a late success of an abandoned probe ends no other probe.
#[test]
fn loom_late_success_ends_no_other_probe() {
    loom::model(|| {
        let health = Arc::new(Health::new());
        eject(&health);
        let probe = health.claim().unwrap();
        health.end_probe(probe.generation).unwrap();
        let rival = {
            let health = health.clone();
            thread::spawn(move || health.claim())
        };
        assert_eq!(health.recover(probe.generation), None);
        let theirs = rival.join().unwrap().unwrap();
        assert_eq!(health.recover(probe.generation), None);
        assert_eq!(health.read(), theirs);
    });
}

/// No attempt starts after a drain that saw none in flight.
///
/// Loom takes sequentially consistent accesses for acquire and release only, and models the single
/// order of all of them by fences; so fences stand here where the accesses are `SeqCst`.
#[test]
fn loom_drain_and_attempt_see_each_other() {
    loom::model(|| {
        let peer = Arc::new((Health::new(), InFlight::new()));
        let attempt = {
            let peer = peer.clone();
            thread::spawn(move || {
                peer.1.enter();
                fence(Ordering::SeqCst);
                peer.0.read().phase == Phase::Up
            })
        };
        peer.0.drain().unwrap();
        fence(Ordering::SeqCst);
        let idle = peer.1.count() == 0;
        let goes_ahead = attempt.join().unwrap();
        assert!(
            !(idle && goes_ahead),
            "drained, and yet an attempt is in flight"
        );
    });
}
