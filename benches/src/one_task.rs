//! Each row set up for one task that calls without pause.
//!
//! The task runs on a single-threaded tokio runtime, as `Buffer` needs one. It never waits except
//! under `Buffer`, so all others run straight through.

use evenhand::{Balance, BalanceLayer, Peers, PerPeer};
use tokio::runtime::{Builder, Runtime};
use tower::Layer;
use tower::balance::p2c;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};

use crate::answer::{Answer, Ask, send, send_all};
use crate::ejected::eject_half;
use crate::row::Row;
use crate::seed::Seed;

/// How many requests `Buffer` holds: more than are ever under way, so that none waits for room.
pub const BUFFER_BOUND: usize = 1024;

/// Makes this number of calls and returns the sum of the answers.
pub type Run = Box<dyn FnMut(u64) -> u64>;

/// tower's balancer over peers that count their pending requests.
pub type P2c = p2c::Balance<ServiceList<Vec<PendingRequests<Answer>>>, u64>;

/// tower's balancer over `n` peers.
pub fn p2c(n: usize) -> P2c {
    let peers =
        Answer::peers(n).map(|peer| PendingRequests::new(peer, CompleteOnResponse::default()));
    p2c::Balance::new(ServiceList::new::<u64>(peers.collect()))
}

/// A set of `n` peers for Evenhand.
pub fn peers(n: usize) -> Peers<Answer> {
    let named = Answer::peers(n).map(|peer| (format!("peer{}", peer.number()), peer));
    Peers::new(named).expect("the names are unique")
}

/// Evenhand as it comes: `PerPeer`, and the layer's defaults.
pub fn evenhand(peers: &Peers<Answer>) -> Balance<PerPeer, Answer> {
    BalanceLayer::new(peers.clone()).layer(PerPeer)
}

fn runtime() -> Runtime {
    let built = Builder::new_current_thread().enable_time().build();
    built.expect("a runtime can be made")
}

/// Sets a row up over `n` peers.
pub fn set_up(row: Row, n: usize) -> Run {
    let runtime = runtime();
    match row {
        Row::Direct => {
            let mut peer = Answer::peers(1).next().expect("there is one");
            Box::new(move |calls| runtime.block_on(send_all(&mut peer, calls)))
        }
        Row::P2c => {
            let mut balance = p2c(n);
            Box::new(move |calls| runtime.block_on(send_all(&mut balance, calls)))
        }
        Row::Buffer => {
            let mut buffer = runtime.block_on(async { Buffer::new(p2c(n), BUFFER_BOUND) });
            Box::new(move |calls| runtime.block_on(send_all(&mut buffer, calls)))
        }
        Row::Seed => {
            let seed = Seed::new(Answer::peers(n));
            Box::new(move |calls| {
                runtime.block_on(async {
                    let mut sum = 0_u64;
                    for request in 0..calls {
                        let answer = seed.call(request).await.expect("no peer is down");
                        sum = sum.wrapping_add(answer);
                    }
                    sum
                })
            })
        }
        Row::Evenhand | Row::EvenhandHalf => {
            let peers = peers(n);
            if row == Row::EvenhandHalf {
                runtime.block_on(eject_half(&peers));
            }
            let mut balance = evenhand(&peers);
            Box::new(move |calls| runtime.block_on(send_all(&mut balance, calls)))
        }
        Row::EvenhandClone => {
            let balance = evenhand(&peers(n));
            Box::new(move |calls| {
                runtime.block_on(async {
                    let mut sum = 0_u64;
                    for request in 0..calls {
                        let answer = send(&mut balance.clone(), request).await;
                        sum = sum.wrapping_add(answer);
                    }
                    sum
                })
            })
        }
        Row::EvenhandAsk => {
            let mut balance = BalanceLayer::new(peers(n)).layer(Ask);
            Box::new(move |calls| runtime.block_on(send_all(&mut balance, calls)))
        }
    }
}
