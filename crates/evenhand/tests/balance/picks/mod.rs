//! Picks that know of the request or of tiers.

mod affinity;
mod tiers;

use std::convert::Infallible;
use std::future::Future;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use evenhand::{Attempt, Balance, Error, RulesFor};
use tower::Service;

/// A request with a key.
#[derive(Clone, Copy, Debug)]
struct Keyed(u64);

/// Answers with the peer's number.
#[derive(Clone)]
struct Number;

impl Service<Attempt<usize, Keyed>> for Number {
    type Response = usize;
    type Error = Infallible;
    type Future = Ready<Result<usize, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<usize, Keyed>) -> Self::Future {
        ready(Ok(*attempt.peer))
    }
}

/// Sends a request and returns its peer. Nothing waits, so one poll is enough.
fn send<R>(balance: &mut Balance<Number, usize, R>, key: u64) -> Result<usize, Error<Infallible>>
where
    R: RulesFor<Keyed, usize, Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(balance.call(Keyed(key))).poll(&mut cx) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("the request waits"),
    }
}

/// The share of each of `n` peers in the requests of these keys.
fn shares<R>(
    balance: &mut Balance<Number, usize, R>,
    n: usize,
    keys: std::ops::Range<u64>,
) -> Vec<f64>
where
    R: RulesFor<Keyed, usize, Infallible>,
{
    let total = (keys.end - keys.start) as f64;
    let mut counts = vec![0_u32; n];
    keys.for_each(|key| counts[send(balance, key).unwrap()] += 1);
    counts
        .into_iter()
        .map(|count| f64::from(count) / total)
        .collect()
}

/// Each share is as expected, within five standard deviations of `requests` draws.
fn assert_shares(shares: &[f64], expected: &[f64], requests: u32, what: &str) {
    for (peer, (share, expected)) in shares.iter().zip(expected).enumerate() {
        let bound = 5.0 * (expected * (1.0 - expected) / f64::from(requests)).sqrt() + 1e-9;
        assert!(
            (share - expected).abs() <= bound,
            "{what}: peer {peer} has {share}, expected {expected} within {bound}: {shares:?}"
        );
    }
}
