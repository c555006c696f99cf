//! Tiers: how much each takes, with which peers up.

use std::time::Duration;

use evenhand::{
    Affinity, AllDown, AnyErrorIsDown, Balance, BalanceLayer, Candidates, Cloned, Error,
    LeastInFlight, Peers, Pick, Placed, Rules, Uniform, Verdict, Weighted,
};
use tower::{Layer, ServiceExt};

use super::{Keyed, Number, assert_shares, send, shares};
use crate::common::{self, Does, ScriptedConnector};

const REQUESTS: u32 = 50_000;
const HOUR: Duration = Duration::from_secs(3600);

/// Peers in tiers of these sizes, with names and numbers in order.
fn peers(sizes: &[usize]) -> Peers<usize> {
    let peers = Peers::default();
    let mut number = 0;
    for (tier, size) in (0..).zip(sizes) {
        for _ in 0..*size {
            let placed = Placed::new(number).tier(tier);
            peers.add_placed(number.to_string(), placed).unwrap();
            number += 1;
        }
    }
    peers
}

fn balance<P: Pick + Clone>(
    peers: &Peers<usize>,
    pick: P,
) -> Balance<Number, usize, Rules<AnyErrorIsDown, Cloned, P>> {
    let layer = BalanceLayer::new(peers.clone()).seed(11);
    layer.pick(pick).layer(Number)
}

/// The share of each tier of these sizes.
fn by_tier(shares: &[f64], sizes: &[usize]) -> Vec<f64> {
    let mut rest = shares;
    let tier = |size: &usize| {
        let (tier, others) = rest.split_at(*size);
        rest = others;
        tier.iter().sum()
    };
    sizes.iter().map(tier).collect()
}

/// With so many of each tier out, tiers take these shares.
fn assert_tiers(sizes: &[usize], out: &[usize], expected: &[f64], pick: impl Pick + Clone) {
    let peers = peers(sizes);
    let mut number = 0;
    for (size, out) in sizes.iter().zip(out) {
        for peer in number..number + out {
            peers.eject(&peer.to_string(), HOUR).unwrap();
        }
        number += size;
    }
    let shares = shares(&mut balance(&peers, pick), number, 0..u64::from(REQUESTS));
    let what = format!("{out:?} of {sizes:?} out");
    assert_shares(&by_tier(&shares, sizes), expected, REQUESTS, &what);
}

#[test]
fn tiers_take_shares_by_their_health() {
    // The first tier takes all while 1.4 times its peers that are up are enough.
    assert_tiers(&[100, 100], &[0, 0], &[1.0, 0.0], Uniform);
    assert_tiers(&[100, 100], &[28, 0], &[1.0, 0.0], Uniform);
    assert_tiers(&[100, 100], &[29, 0], &[0.994, 0.006], Uniform);
    assert_tiers(&[100, 100], &[50, 0], &[0.7, 0.3], Uniform);
    assert_tiers(&[100, 100], &[75, 0], &[0.35, 0.65], Uniform);
    assert_tiers(&[100, 100], &[100, 0], &[0.0, 1.0], Uniform);
    assert_tiers(&[100, 100], &[0, 100], &[1.0, 0.0], Uniform);
    // Three tiers: each takes what those before it leave.
    assert_tiers(&[20, 20, 20], &[15, 15, 0], &[0.35, 0.35, 0.3], Uniform);
    assert_tiers(&[20, 20, 20], &[10, 0, 0], &[0.7, 0.3, 0.0], Uniform);
    // All together carry 0.7 times what they should: in proportion to their health.
    assert_tiers(&[20, 20], &[15, 15], &[0.5, 0.5], Uniform);
    assert_tiers(
        &[20, 20, 20],
        &[18, 19, 20],
        &[2.0 / 3.0, 1.0 / 3.0, 0.0],
        Uniform,
    );
    // Few peers.
    assert_tiers(&[1, 1], &[0, 0], &[1.0, 0.0], Uniform);
    assert_tiers(&[1, 1], &[1, 0], &[0.0, 1.0], Uniform);
    assert_tiers(&[2, 3], &[1, 0], &[0.7, 0.3], Uniform);
}

#[test]
fn tiers_hold_with_any_pick() {
    assert_tiers(&[10, 10], &[5, 0], &[0.7, 0.3], Weighted);
    assert_tiers(&[10, 10], &[5, 0], &[0.7, 0.3], LeastInFlight);
    assert_tiers(&[10, 10], &[5, 0], &[0.7, 0.3], Highest);
}

/// The candidate of the highest number.
#[derive(Clone, Copy)]
struct Highest;

impl Pick for Highest {
    fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize> {
        let number = |index: &usize| candidates.name(*index).parse::<u32>().ok();
        (0..candidates.len()).max_by_key(number)
    }
}

#[test]
fn pick_chooses_within_the_tier() {
    let peers = peers(&[4, 4]);
    peers.eject("0", HOUR).unwrap();
    peers.eject("1", HOUR).unwrap();
    let shares_of_highest = shares(&mut balance(&peers, Highest), 8, 0..u64::from(REQUESTS));
    let expected = [0.0, 0.0, 0.0, 0.7, 0.0, 0.0, 0.0, 0.3];
    assert_shares(&shares_of_highest, &expected, REQUESTS, "the highest");
    for (peer, weight) in [("2", 1), ("3", 3), ("4", 0), ("5", 1), ("6", 1), ("7", 2)] {
        peers.set_weight(peer, weight).unwrap();
    }
    let weighted = shares(&mut balance(&peers, Weighted), 8, 0..u64::from(REQUESTS));
    let expected = [0.0, 0.0, 0.175, 0.525, 0.0, 0.075, 0.075, 0.15];
    assert_shares(&weighted, &expected, REQUESTS, "by weight");
    // A tier whose peers all weigh nothing leaves its requests to the others.
    peers.set_weight("2", 0).unwrap();
    peers.set_weight("3", 0).unwrap();
    let weighted = shares(&mut balance(&peers, Weighted), 8, 0..u64::from(REQUESTS));
    let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.5];
    assert_shares(&weighted, &expected, REQUESTS, "of weight 0");
}

#[test]
fn spill_over_begins_with_the_first_loss_that_matters() {
    // Far fewer than an eighth of all peers, so nothing but the tiers asks for a new snapshot.
    let peers = peers(&[4, 196]);
    let mut balance = balance(&peers, Uniform);
    send(&mut balance, 0).unwrap();
    for (peer, expected) in [("0", 1.0), ("1", 0.7), ("2", 0.35), ("3", 0.0)] {
        peers.eject(peer, HOUR).unwrap();
        let shares = shares(&mut balance, 200, 0..u64::from(REQUESTS));
        let near: f64 = shares[..4].iter().sum();
        assert_shares(&[near], &[expected], REQUESTS, peer);
    }
    for (peer, expected) in [("3", 0.35), ("2", 0.7), ("1", 1.0)] {
        peers.restore(peer).unwrap();
        let shares = shares(&mut balance, 200, 0..u64::from(REQUESTS));
        let near: f64 = shares[..4].iter().sum();
        assert_shares(&[near], &[expected], REQUESTS, peer);
    }
}

#[test]
fn overprovisioning_sets_when_requests_spill_over() {
    let peers = peers(&[4, 4]);
    peers.eject("0", HOUR).unwrap();
    let mut balance = balance(&peers, Uniform);
    let mut near = |factor| {
        peers.set_overprovisioning(factor);
        let shares = shares(&mut balance, 8, 0..u64::from(REQUESTS));
        shares[..4].iter().sum::<f64>()
    };
    assert_shares(&[near(1.0)], &[0.75], REQUESTS, "1");
    assert_shares(&[near(1.2)], &[0.9], REQUESTS, "1.2");
    assert_shares(&[near(f64::NAN)], &[0.75], REQUESTS, "no number");
    assert_shares(&[near(f64::INFINITY)], &[1.0], REQUESTS, "infinity");
    peers.eject("1", HOUR).unwrap();
    peers.eject("2", HOUR).unwrap();
    assert_shares(&[near(f64::INFINITY)], &[1.0], REQUESTS, "one is left");
    peers.eject("3", HOUR).unwrap();
    assert_shares(&[near(f64::INFINITY)], &[0.0], REQUESTS, "none is left");
}

#[test]
fn draining_counts_and_unproved_newcomers_do_not() {
    let peers = peers(&[4, 4]);
    let mut balance = balance(&peers, Uniform);
    let mut near = || {
        let shares = shares(&mut balance, 12, 0..u64::from(REQUESTS));
        shares[..4].iter().sum::<f64>()
    };
    // A prober keeps the newcomers from the callers, and does not run outside a runtime.
    for name in ["8", "9", "10", "11"] {
        let newcomer = Placed::new(name.parse().unwrap());
        peers.joining_on_proof().add_placed(name, newcomer).unwrap();
        peers.eject(name, HOUR).unwrap();
    }
    assert_shares(&[near()], &[1.0], REQUESTS, "newcomers");
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for name in ["0", "1"] {
        let drain = std::pin::pin!(peers.drain(name));
        assert!(std::future::Future::poll(drain, &mut cx).is_ready());
    }
    assert_shares(&[near()], &[0.7], REQUESTS, "two drain");
}

#[tokio::test(start_paused = true)]
async fn request_tries_the_far_peers_after_the_near_ones() {
    let names = ["far", "near-1", "near-2"];
    let (peers, connector) = (common::peers(&names), ScriptedConnector::new());
    peers.set_tier("far", 1).unwrap();
    let balance = common::layer(&peers).layer(connector.clone());
    let busy = Does::Fail(Verdict::neutral().safe().because("busy"));
    connector.tell("near-1", busy);
    connector.tell("near-2", busy);
    for _ in 0..50 {
        let answer = balance.clone().oneshot(()).await.unwrap();
        assert_eq!(answer.peer, "far");
        let mut attempts = connector.attempts();
        assert_eq!(attempts.pop().as_deref(), Some("far"));
        attempts.sort();
        assert_eq!(attempts, ["near-1", "near-2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn due_peers_of_every_tier_are_probed() {
    let peers = peers(&[2, 2]);
    let mut balance = balance(&peers, Uniform);
    for peer in ["2", "3"] {
        peers.eject(peer, HOUR).unwrap();
    }
    tokio::time::advance(HOUR).await;
    let probed: Vec<usize> = (0..2).map(|key| send(&mut balance, key).unwrap()).collect();
    assert!(probed.contains(&2) && probed.contains(&3), "{probed:?}");
    assert_eq!(peers.up_count(), 4);
}

#[test]
fn key_stays_in_its_tier_while_tiers_share() {
    let peers = peers(&[10, 10]);
    for peer in 0..5 {
        peers.eject(&peer.to_string(), HOUR).unwrap();
    }
    let layer = BalanceLayer::new(peers.clone()).seed(1);
    let mut balance = layer
        .pick_by(|request: &Keyed| request.0, Affinity)
        .layer(Number);
    let homes: Vec<usize> = (0..u64::from(REQUESTS))
        .map(|key| send(&mut balance, key).unwrap())
        .collect();
    let again: Vec<usize> = (0..u64::from(REQUESTS))
        .map(|key| send(&mut balance, key).unwrap())
        .collect();
    assert_eq!(homes, again);
    let near = homes.iter().filter(|home| **home < 10).count() as f64;
    assert_shares(&[near / f64::from(REQUESTS)], &[0.7], REQUESTS, "near");
}

#[test]
fn all_of_weight_0_in_all_tiers_is_told() {
    let peers = peers(&[1, 1]);
    peers.set_weight("0", 0).unwrap();
    peers.set_weight("1", 0).unwrap();
    let outcome = send(&mut balance(&peers, Weighted), 0);
    assert!(matches!(outcome, Err(Error::ZeroWeight)), "{outcome:?}");
}

/// Old ones of two tiers leave as new ones come up. The first that comes up is one of the second tier.
#[tokio::test(start_paused = true)]
async fn last_tier_leaves_first() {
    let peers = peers(&[1, 1]);
    let new = [("2", Placed::new(2).tier(0)), ("3", Placed::new(3).tier(1))];
    peers.joining_on_proof().replace_all_placed(new).unwrap();
    peers.restore("3").unwrap();
    send(&mut balance(&peers, Uniform), 0).unwrap();
    let statuses = peers.statuses();
    let names: Vec<&str> = statuses.iter().map(|status| &*status.peer).collect();
    assert_eq!(names, ["0", "2", "3"], "a peer of the first tier stays");
}

#[test]
fn weights_and_tiers_change_in_one_go() {
    let peers = peers(&[1, 1]);
    let mut balance = balance(&peers, Weighted);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..20_000_u32 {
                let (a, b) = (round % 2, (round + 1) % 2);
                let a = Placed::new(0).weight(a).tier(a);
                let b = Placed::new(1).weight(b).tier(b);
                peers.replace_all_placed([("0", a), ("1", b)]).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            // With both of weight 0 it would fail.
            send(&mut balance, 0).unwrap();
        }
    });
}

#[test]
fn request_that_goes_to_peers_that_are_out_goes_to_the_near_ones() {
    let peers = peers(&[2, 100]);
    let names: Vec<String> = (0..102).map(|number| number.to_string()).collect();
    let layer = BalanceLayer::new(peers.clone())
        .all_down(AllDown::FailOpen)
        .classify(evenhand::classify_fn(
            |_: Result<&usize, &std::convert::Infallible>| Verdict::neutral(),
        ))
        .seed(5);
    let eject = || {
        names
            .iter()
            .for_each(|name| peers.eject(name, HOUR).unwrap())
    };
    eject();
    // A time that an operator set is kept to, so failures have to take them out.
    names.iter().for_each(|name| peers.restore(name).unwrap());
    let down = BalanceLayer::new(peers.clone())
        .classify(evenhand::classify_fn(
            |_: Result<&usize, &std::convert::Infallible>| Verdict::down(),
        ))
        .layer(Number);
    while peers.up_count() > 0 {
        let _ = send(&mut down.clone(), 0);
    }
    let mut open = layer.layer(Number);
    for _ in 0..200 {
        assert!(send(&mut open, 0).unwrap() < 2, "a far one");
    }
}

#[test]
fn edits_keep_tiers_and_give_them() {
    let peers = peers(&[1, 1]);
    let tiers = || -> Vec<u32> { peers.statuses().iter().map(|status| status.tier).collect() };
    peers.replace_all([("0", 0), ("1", 1), ("2", 2)]).unwrap();
    assert_eq!(tiers(), [0, 1, 0], "those that stay keep theirs");
    let placed = [
        ("0", Placed::new(0).tier(2)),
        ("1", Placed::new(1)),
        ("3", Placed::new(3).tier(7).weight(4)),
    ];
    peers.replace_all_placed(placed).unwrap();
    assert_eq!(tiers(), [2, 1, 7]);
    assert_eq!(peers.statuses()[2].weight, 4);
    // A new target of an old name stands where that stood.
    peers.replace_all([("0", 0), ("3", 30)]).unwrap();
    assert_eq!(tiers(), [2, 7]);
    assert_eq!(peers.statuses()[1].weight, 4);
    assert!(peers.set_tier("x", 1).is_err());
}
