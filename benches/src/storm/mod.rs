//! Half of the peers refuse, under load: how many requests fail, and what the bad peers see.
//!
//! Ten peers, of which five refuse every attempt; the good ones take 1 to 3 ms. 64 clients send
//! requests as fast as they are answered. Each contender gets the same peers and the same number
//! of requests, one contender after the other.
//!
//! | module | holds |
//! | --- | --- |
//! | [`peer`] | the peers and what they note down |
//! | [`refusal`] | a refusal that takes 200 µs, finer than tokio's timers |
//! | [`breaker`] | a circuit breaker for each peer under p2c |
//! | [`contender`] | what is compared |

pub mod breaker;
pub mod contender;
pub mod peer;
pub mod refusal;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tower::Service;

use contender::{Contender, NineRetries};
use peer::{Ledger, Request, StormPeer};
use refusal::Refusal;

/// Peers in all.
pub const PEERS: usize = 10;
/// Those that refuse.
pub const BAD: usize = 5;
/// How many clients send at once.
pub const CLIENTS: usize = 64;

/// What came of one contender's storm.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Requests that failed for the client.
    pub failed: u32,
    /// Requests whose first attempt went to a bad peer.
    pub bad_first: u32,
    /// Attempts that went to bad peers, retries included.
    pub bad_all: u32,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// Sends this number of requests through one contender.
pub fn run(contender: Contender, refusal: Refusal, requests: u32) -> Outcome {
    let ledger = Arc::new(Ledger::new(requests));
    let peers = StormPeer::set(PEERS, BAD, refusal, &ledger);
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build();
    let runtime = runtime.expect("a runtime can be made");
    let _context = runtime.enter();
    let (failed, took) = match contender {
        Contender::P2c => send(&runtime, contender::p2c(peers), requests),
        Contender::P2cRetried => {
            let service = NineRetries::over(contender::p2c(peers));
            send(&runtime, service, requests)
        }
        Contender::Breaker => send(&runtime, contender::breaker(peers), requests),
        Contender::BreakerRetried => {
            let service = NineRetries::over(contender::breaker(peers));
            send(&runtime, service, requests)
        }
        Contender::Evenhand => send(&runtime, contender::evenhand(peers), requests),
    };
    let (bad_first, bad_all) = ledger.bad();
    Outcome {
        failed,
        bad_first,
        bad_all,
        took,
    }
}

fn send<S>(runtime: &Runtime, service: S, requests: u32) -> (u32, Duration)
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
{
    let next = Arc::new(AtomicU32::new(0));
    let start = Instant::now();
    let client = |_| {
        let (next, mut service) = (next.clone(), service.clone());
        runtime.spawn(async move {
            let mut failed = 0;
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                if id >= requests {
                    return failed;
                }
                let ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
                if !ready || service.call(Request(id)).await.is_err() {
                    failed += 1;
                }
            }
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let failed = runtime.block_on(async {
        let mut failed = 0;
        for client in clients {
            failed += client.await.expect("no client panics");
        }
        failed
    });
    (failed, start.elapsed())
}
