//! Probes of ejected peers when they are due.
//!
//! One task sleeps until the first peer is due, and looks again whenever a peer is ejected. Each
//! probe runs in a task of its own, so that a slow one delays no other.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout_at};

use super::{Context, Probe};
use crate::attempt::permit::AttemptPermit;
use crate::classify::{PeerVerdict, Verdict};
use crate::interval::with_jitter;
use crate::set::peer::Peer;
use crate::set::policies::Policy;
use crate::set::registry::Registry;

/// Probes peers until the context is gone; runs `checks` meanwhile.
pub(super) async fn run<Target: Send + Sync + 'static>(
    context: Weak<Context<Target>>,
    registry: &Registry,
    checks: impl Future<Output = ()> + Send + 'static,
) {
    // Its tasks end with this one.
    let mut tasks = JoinSet::new();
    tasks.spawn(checks);
    loop {
        let mut changed = pin!(registry.due_changed.notified());
        // Listens before it looks, so that no ejection falls between the two.
        changed.as_mut().enable();
        let Some(context) = context.upgrade() else {
            return;
        };
        if registry.any_may_leave() {
            context.set.refresh();
        }
        let (due, next) = registry.due_for_probers();
        let snapshot = context.set.snapshot();
        for index in due.into_iter().filter_map(|id| snapshot.index_of(id)) {
            let peer = snapshot.peers()[index as usize].clone();
            if let Some(permit) = AttemptPermit::claim(peer) {
                tasks.spawn(probe(context.probe.clone(), permit, context.policy.clone()));
            }
        }
        drop((snapshot, context));
        while tasks.try_join_next().is_some() {}
        match next {
            Some(due) => drop(timeout_at(due, changed).await),
            None => changed.await,
        }
    }
}

/// Probes one peer, as many times in a row as it takes to bring it back.
async fn probe<Target: Send + Sync + 'static>(
    probe: Probe<Target>,
    permit: AttemptPermit<Target>,
    policy: Arc<Policy>,
) {
    let mut remaining = probe.rise;
    let verdict = loop {
        let verdict = run_once(&probe, permit.peer().clone()).await;
        remaining -= 1;
        if remaining == 0 || verdict.peer != PeerVerdict::Healthy {
            break verdict;
        }
        sleep(with_jitter(probe.rise_interval, &policy.rng)).await;
        let now = permit.peer().member().health.read();
        if now.generation != permit.epoch().generation() {
            // An operator changed the peer's state.
            return;
        }
    };
    // A peer is back, or it is not: there is no third answer.
    let peer = match verdict.peer {
        PeerVerdict::Healthy => PeerVerdict::Healthy,
        _ => PeerVerdict::Down,
    };
    permit.settle(&Verdict { peer, ..verdict }, &policy);
}

/// One probe. One that panics has failed: if it only released its permit, its peer would be due at
/// once, and probed again without end.
async fn run_once<Target: Send + Sync + 'static>(
    probe: &Probe<Target>,
    peer: Peer<Target>,
) -> Verdict {
    let mut run = pin!(probe.run(peer));
    poll_fn(|cx| {
        // After a panic it is dropped, not polled.
        let polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Verdict::down().because("probe panicked")))
    })
    .await
}
