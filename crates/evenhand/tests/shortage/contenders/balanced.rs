//! With this balancer: one service that all clients share.

use std::sync::Arc;
use std::time::Duration;

use evenhand::{AllDown, Attempt, BalanceLayer, Cloned, Peer, Probe, Verdict, on_error};
use tower::{Layer, ServiceExt, service_fn};

use super::{Ask, PATIENCE, SEED};
use crate::history::PEERS;
use crate::peers::{Failure, Peers};

pub(super) fn balanced(peers: Arc<Peers>) -> Ask {
    let set = evenhand::Peers::new((0..PEERS).map(|n| (format!("peer{n}"), n))).unwrap();
    let probed = peers.clone();
    let probe = service_fn(move |peer: Peer<usize>| {
        let peers = probed.clone();
        async move { peers.ask(*peer).await }
    });
    let connector = service_fn(move |attempt: Attempt<usize, ()>| {
        let peers = peers.clone();
        async move { peers.ask(*attempt.peer).await }
    });
    let service = BalanceLayer::new(set)
        .classify(on_error(judge))
        .replay(Cloned::idempotent())
        .all_down(AllDown::WaitUpTo(PATIENCE))
        .probe(Probe::new(probe, Duration::from_secs(2)))
        .seed(SEED)
        .layer(connector);
    Box::new(move |_| {
        let service = service.clone();
        Box::pin(async move { service.oneshot(()).await.is_ok() })
    })
}

fn judge(failure: &Failure) -> Verdict {
    match failure {
        Failure::Refused => Verdict::down().safe(),
        Failure::Full => Verdict::neutral().busy(),
        Failure::TimedOut => Verdict::down().if_idempotent(),
    }
}
