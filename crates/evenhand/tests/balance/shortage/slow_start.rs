//! Slow start: a peer that comes back or joins takes a share that grows over the window.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::Number;
use evenhand::{Balance, BalanceLayer, LeastInFlight, Peers, Pick, Rules, Uniform, Weighted};
use tokio::time::advance;
use tower::{Layer, Service};

const WINDOW: Duration = Duration::from_secs(100);
const REQUESTS: u32 = 20_000;

type Numbered<P> = Balance<Number, usize, Rules<evenhand::AnyErrorIsDown, evenhand::Cloned, P>>;

fn peers(n: usize) -> Peers<usize> {
    Peers::new((0..n).map(|number| (number.to_string(), number))).unwrap()
}

fn balance<P: Pick + Clone>(peers: &Peers<usize>, pick: P) -> Numbered<P> {
    BalanceLayer::new(peers.clone())
        .pick(pick)
        .slow_start(WINDOW)
        .seed(7)
        .layer(Number)
}

/// The share of each peer in many requests.
fn shares<P: Pick + Clone>(balance: &mut Numbered<P>, n: usize) -> Vec<f64> {
    let mut counts = vec![0_u32; n];
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..REQUESTS {
        match pin!(balance.call(())).poll(&mut cx) {
            Poll::Ready(Ok(peer)) => counts[peer] += 1,
            other => panic!("{other:?}"),
        }
    }
    let share = |count| f64::from(count) / f64::from(REQUESTS);
    counts.into_iter().map(share).collect()
}

fn assert_share(share: f64, expected: f64, what: &str) {
    assert!(
        (share - expected).abs() < 0.01,
        "{what}: {share} of {expected}"
    );
}

fn come_back(peers: &Peers<usize>, peer: &str) {
    peers.eject(peer, WINDOW).unwrap();
    peers.restore(peer).unwrap();
}

/// Of four equal peers, the last one comes back.
async fn assert_share_grows(pick: impl Pick + Copy, weight: u32) {
    let peers = peers(4);
    peers.set_weight("3", weight).unwrap();
    let mut balance = balance(&peers, pick);
    let weight = f64::from(weight);
    let expected = |ramped: f64| weight * ramped / (3.0 + weight * ramped);
    assert_share(shares(&mut balance, 4)[3], expected(1.0), "never out");
    come_back(&peers, "3");
    let mut at = Duration::ZERO;
    for percent in [0, 10, 50, 90, 100, 300] {
        let then = WINDOW * percent / 100;
        advance(then - at).await;
        at = then;
        let ramped = (f64::from(percent) / 100.0).clamp(0.05, 1.0);
        let what = format!("at {percent} %");
        assert_share(shares(&mut balance, 4)[3], expected(ramped), &what);
    }
}

#[tokio::test(start_paused = true)]
async fn share_of_a_returned_peer_grows_over_the_window() {
    assert_share_grows(Uniform, 1).await;
    assert_share_grows(Weighted, 1).await;
    assert_share_grows(Weighted, 3).await;
    assert_share_grows(LeastInFlight, 1).await;
}

#[tokio::test(start_paused = true)]
async fn joining_peer_ramps_and_a_first_one_does_not() {
    let peers = peers(3);
    let mut balance = balance(&peers, Uniform);
    peers.add("3", 3).unwrap();
    peers.joining_on_proof().add("4", 4).unwrap();
    peers.restore("4").unwrap();
    advance(WINDOW / 2).await;
    let shares = shares(&mut balance, 5);
    for (share, expected) in shares.into_iter().zip([0.25, 0.25, 0.25, 0.125, 0.125]) {
        assert_share(share, expected, "half way");
    }
}

#[tokio::test(start_paused = true)]
async fn ramping_peers_share_by_their_times_if_all_ramp() {
    let peers = peers(3);
    let mut balance = balance(&peers, Uniform);
    for peer in ["0", "1", "2"] {
        peers.eject(peer, 10 * WINDOW).unwrap();
    }
    peers.restore("0").unwrap();
    advance(WINDOW / 10).await;
    peers.restore("1").unwrap();
    peers.restore("2").unwrap();
    advance(WINDOW / 10).await;
    for (share, expected) in shares(&mut balance, 3).into_iter().zip([0.5, 0.25, 0.25]) {
        assert_share(share, expected, "0 for twice as long");
    }
    advance(2 * WINDOW).await;
    for share in shares(&mut balance, 3) {
        assert_share(share, 1.0 / 3.0, "afterwards");
    }
}

#[tokio::test(start_paused = true)]
async fn only_peer_that_is_up_takes_all_requests_while_it_ramps() {
    let peers = peers(2);
    let mut balance = balance(&peers, Uniform);
    peers.eject("0", WINDOW * 2).unwrap();
    come_back(&peers, "1");
    assert_share(shares(&mut balance, 2)[1], 1.0, "alone");
}

#[tokio::test(start_paused = true)]
async fn slow_start_is_off_by_default() {
    let peers = peers(2);
    let mut balance = BalanceLayer::new(peers.clone()).seed(7).layer(Number);
    come_back(&peers, "1");
    assert_share(shares(&mut balance, 2)[1], 0.5, "at once");
}
