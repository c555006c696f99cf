//! With what tower has: its balancer of two choices over peers with circuit breakers, its retries with a
//! budget and pauses, and a time limit over all. One service that all clients share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng};
use tokio::time::timeout;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::retry::backoff::{Backoff, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget, TpsBudget};
use tower::retry::{Policy, Retry};
use tower::util::rng::Rng;
use tower::{BoxError, ServiceExt};

use super::breaker::Breaker;
use super::{Ask, PATIENCE, SEED};
use crate::history::PEERS;
use crate::peers::Peers;

/// One for each of the other peers.
const MAX_RETRIES: usize = PEERS - 1;

pub(super) fn tower_stack(peers: Arc<Peers>) -> Ask {
    let services: Vec<_> = (0..PEERS)
        .map(|peer| {
            PendingRequests::new(
                Breaker::new(peers.clone(), peer),
                CompleteOnResponse::default(),
            )
        })
        .collect();
    let balance = Balance::from_rng(ServiceList::new::<()>(services), Seeded::new());
    let (first, max) = (Duration::from_millis(10), Duration::from_secs(1));
    let pauses = ExponentialBackoffMaker::new(first, max, 0.5, Seeded::new());
    let policy = Retries {
        budget: Arc::default(),
        left: MAX_RETRIES,
        pauses: pauses.unwrap().make_backoff(),
    };
    let service = Retry::new(policy, Buffer::new(balance, 16_384));
    Box::new(move |_| {
        let request = timeout(PATIENCE, service.clone().oneshot(()));
        Box::pin(request.map(|outcome| matches!(outcome, Ok(Ok(())))))
    })
}

#[derive(Clone)]
struct Retries {
    budget: Arc<TpsBudget>,
    left: usize,
    pauses: ExponentialBackoff<Seeded>,
}

impl Policy<(), (), BoxError> for Retries {
    type Future = <ExponentialBackoff<Seeded> as Backoff>::Future;

    fn retry(&mut self, (): &mut (), outcome: &mut Result<(), BoxError>) -> Option<Self::Future> {
        if outcome.is_ok() {
            self.budget.deposit();
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.budget.withdraw().then(|| self.pauses.next_backoff())
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

/// One generator for all clones, so that no two requests pause in step.
#[derive(Clone, Debug)]
struct Seeded(Arc<Mutex<SmallRng>>);

impl Seeded {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SmallRng::seed_from_u64(SEED))))
    }
}

impl Rng for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0.lock().unwrap().next_u64()
    }
}
