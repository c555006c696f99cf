//! A peer set with half of its peers ejected, as they would be in earnest: by failing.
//!
//! They fail under a balancer of their own over the same `Peers`, so that neither the measured
//! balancer nor its connector carries a switch for it. They stay out for a day, longer than any
//! measurement.

use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{Attempt, BalanceLayer, Eject, Peers};
use tower::{Layer, Service};

use crate::answer::Answer;

/// Those with an odd number are ejected: of three peers one, else half.
///
/// To be called in a tokio runtime, which then keeps the timers of their recovery.
pub async fn eject_half(peers: &Peers<Answer>) {
    let left = peers.len().div_ceil(2);
    let day = Eject::on_first().recheck_every(Duration::from_secs(24 * 3600));
    // With a seed, so that callgrind sees the same set-up each time.
    let layer = BalanceLayer::new(peers.clone()).eject(day).seed(1);
    let mut balance = layer.layer(OddOnesFail);
    while peers.up_count() > left {
        // The error is what it is done for.
        let _ = balance.call(0).await;
    }
    // Lets the timers start.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[derive(Clone, Copy, Debug)]
struct OddOnesFail;

impl Service<Attempt<Answer, u64>> for OddOnesFail {
    type Response = ();
    type Error = &'static str;
    type Future = Ready<Result<(), &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Answer, u64>) -> Self::Future {
        ready(match attempt.peer.number() % 2 {
            0 => Ok(()),
            _ => Err("odd"),
        })
    }
}
