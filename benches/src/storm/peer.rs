//! The storm's peers, and what they note down.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::Service;

use crate::storm::refusal::Refusal;

/// A request: its number.
#[derive(Clone, Copy, Debug)]
pub struct Request(pub u32);

/// What a bad peer answers.
#[derive(Clone, Copy, Debug)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// What all peers of one storm note down: it is they who see the attempts, whatever the balancer.
#[derive(Debug)]
pub struct Ledger {
    /// How often each request arrived so far.
    arrivals: Vec<AtomicU32>,
    bad_first: AtomicU32,
    bad_all: AtomicU32,
}

impl Ledger {
    /// For this number of requests.
    pub fn new(requests: u32) -> Self {
        Self {
            arrivals: (0..requests).map(|_| AtomicU32::new(0)).collect(),
            bad_first: AtomicU32::new(0),
            bad_all: AtomicU32::new(0),
        }
    }

    fn note(&self, request: Request, bad: bool) {
        let arrivals = self.arrivals.get(request.0 as usize);
        let first = arrivals.is_some_and(|seen| seen.fetch_add(1, Ordering::Relaxed) == 0);
        if bad {
            self.bad_all.fetch_add(1, Ordering::Relaxed);
            self.bad_first
                .fetch_add(u32::from(first), Ordering::Relaxed);
        }
    }

    /// First attempts, and all attempts, that went to bad peers.
    pub fn bad(&self) -> (u32, u32) {
        (
            self.bad_first.load(Ordering::Relaxed),
            self.bad_all.load(Ordering::Relaxed),
        )
    }
}

/// A peer that refuses, or one that answers after 1 to 3 ms.
#[derive(Clone, Debug)]
pub struct StormPeer {
    ledger: Arc<Ledger>,
    refuses: Option<Refusal>,
}

impl StormPeer {
    /// `peers` peers, of which `bad` refuse.
    pub fn set(peers: usize, bad: usize, refusal: Refusal, ledger: &Arc<Ledger>) -> Vec<Self> {
        let peer = |index| Self {
            ledger: ledger.clone(),
            refuses: (index < bad).then(|| refusal.clone()),
        };
        (0..peers).map(peer).collect()
    }
}

impl Service<Request> for StormPeer {
    type Response = ();
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.ledger.note(request, self.refuses.is_some());
        match self.refuses.clone() {
            Some(refusal) => Box::pin(async move {
                refusal.wait().await;
                Err(Refused)
            }),
            None => Box::pin(async move {
                tokio::time::sleep(work(request)).await;
                Ok(())
            }),
        }
    }
}

/// 1 to 3 ms, the same for the same request, so that all contenders have the same work.
fn work(request: Request) -> Duration {
    let scattered = request.0.wrapping_mul(0x9e37_79b9);
    Duration::from_micros(1000 + u64::from(scattered >> 16) * 2000 / 0xffff)
}
