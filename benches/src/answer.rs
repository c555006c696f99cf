//! The peer that all rows call: ready at once, answers at once, does no I/O.
//!
//! It does as little as a service can, so that what is measured is the balancer and not the peer.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::hint::black_box;
use std::task::{Context, Poll};

use evenhand::Attempt;
use tower::Service;

/// Answers a number with another one. Eight bytes, as small as an address or a pool's handle.
#[derive(Clone, Copy, Debug)]
pub struct Answer(u64);

impl Answer {
    /// The peers of a set, numbered.
    pub fn peers(n: usize) -> impl Iterator<Item = Self> {
        (0..n as u64).map(Self)
    }

    /// Which peer of the set it is.
    pub fn number(self) -> u64 {
        self.0
    }

    fn answer(self, request: u64) -> Ready<Result<u64, Infallible>> {
        ready(Ok(black_box(self.0).wrapping_add(request)))
    }
}

impl Service<u64> for Answer {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        self.answer(request)
    }
}

/// An Evenhand connector that asks the peer itself, without `PerPeer` between.
#[derive(Clone, Copy, Debug)]
pub struct Ask;

impl Service<Attempt<Answer, u64>> for Ask {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Answer, u64>) -> Self::Future {
        attempt.peer.answer(attempt.request)
    }
}

/// Sends one request, as any user of a tower service does: ready, then call.
pub async fn send<S>(service: &mut S, request: u64) -> u64
where
    S: Service<u64, Response = u64>,
{
    let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await else {
        panic!("a service that is always ready was not")
    };
    match service.call(black_box(request)).await {
        Ok(answer) => answer,
        Err(_) => panic!("a peer that always answers did not"),
    }
}

/// Sends this number of requests one after the other, and adds up the answers.
pub async fn send_all<S>(service: &mut S, calls: u64) -> u64
where
    S: Service<u64, Response = u64>,
{
    let mut sum = 0_u64;
    for request in 0..calls {
        sum = sum.wrapping_add(send(service, request).await);
    }
    sum
}
