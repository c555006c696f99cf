//! Shares of a million seeded requests, with peers down, through the whole balancer.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::Number;
use evenhand::{Balance, BalanceLayer, Peers, Pick, Uniform, Weighted};
use tower::{Layer, Service};

const REQUESTS: u32 = 1_000_000;

/// Sends a request and returns its peer. Nothing waits, so one poll is enough.
fn send<R>(balance: &mut Balance<Number, usize, R>) -> usize
where
    Balance<Number, usize, R>: Service<(), Response = usize, Error = evenhand::Error<Infallible>>,
{
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(balance.call(())).poll(&mut cx) {
        Poll::Ready(Ok(peer)) => peer,
        other => panic!("{other:?}"),
    }
}

/// The 99.9th percentile of chi-squared for `k` degrees of freedom (Wilson and Hilferty).
fn chi_squared_limit(k: f64) -> f64 {
    k * (1.0 - 2.0 / (9.0 * k) + 3.09 * (2.0 / (9.0 * k)).sqrt()).powi(3)
}

fn assert_fair(counts: &[u32], shares: &[f64], what: &str) {
    let total: f64 = shares.iter().sum();
    let mut chi = 0.0;
    for (&count, share) in counts.iter().zip(shares) {
        let expected = f64::from(REQUESTS) * share / total;
        if expected == 0.0 {
            assert_eq!(count, 0, "{what}: a peer that is down was picked");
        } else {
            chi += (f64::from(count) - expected).powi(2) / expected;
        }
    }
    let alive = shares.iter().filter(|share| **share > 0.0).count();
    if alive > 1 {
        let limit = chi_squared_limit((alive - 1) as f64);
        assert!(chi < limit, "{what}: {chi} of {limit}");
    }
}

/// Sends a million requests with the first `down` of `n` peers ejected. `settled` sends them all by
/// one clone; otherwise each goes by a fresh clone.
fn shares_of(pick: impl Pick + Clone, weights: &[u32], down: usize, settled: bool) {
    let n = weights.len();
    let peers = Peers::new((0..n).map(|i| (format!("peer{i}"), i))).unwrap();
    for (i, weight) in weights.iter().enumerate() {
        peers.set_weight(&format!("peer{i}"), *weight).unwrap();
    }
    for i in 0..down {
        peers
            .eject(&format!("peer{i}"), Duration::from_secs(3600))
            .unwrap();
    }
    let layer = BalanceLayer::new(peers).pick(pick).seed((n + down) as u64);
    let mut balance = layer.layer(Number);
    let mut counts = vec![0_u32; n];
    for _ in 0..REQUESTS {
        let peer = if settled {
            send(&mut balance)
        } else {
            send(&mut balance.clone())
        };
        counts[peer] += 1;
    }
    let share = |(i, weight): (usize, &u32)| if i < down { 0.0 } else { f64::from(*weight) };
    let shares: Vec<f64> = weights.iter().enumerate().map(share).collect();
    assert_fair(&counts, &shares, &format!("{down} of {n} peers down"));
}

/// None, one, a third, and all but one.
fn downs(n: usize) -> [usize; 4] {
    [0, 1, n / 3, n - 1]
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_clone_are_uniform_over_up_peers() {
    for n in [2, 3, 10, 100] {
        for down in downs(n) {
            shares_of(Uniform, &vec![1; n], down, true);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_fresh_clones_are_uniform_over_up_peers() {
    for n in [2, 3, 10, 100] {
        for down in downs(n) {
            shares_of(Uniform, &vec![1; n], down, false);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn weighted_requests_are_proportional_over_up_peers() {
    for n in [2, 3, 10, 100] {
        let weights: Vec<u32> = (0..n).map(|i| 1 + i % 7).collect();
        for down in downs(n as usize) {
            shares_of(Weighted, &weights, down, true);
        }
    }
}
