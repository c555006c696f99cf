//! One history with one kind of client.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::contenders::Ask;
use crate::history::{END, History};
use crate::peers::Peers;

const CLIENTS: usize = 200;

/// What came of the requests of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) served: u64,
    pub(crate) failed: u64,
    /// Attempts and probes that failed or were abandoned.
    pub(crate) wasted: u64,
    /// The longest time until a request was served.
    pub(crate) longest: Duration,
}

/// When a client sends its next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// After a pause that begins with the answer to the one before.
    OneAtATime,
    /// After a pause that begins with the one before.
    Steady,
}

/// Runs a history with the clients that `connect` makes.
pub(crate) fn run(history: &'static History, load: Load, connect: fn(Arc<Peers>) -> Ask) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let peers = Peers::new(history);
        let ask = Arc::new(connect(peers.clone()));
        let clients: JoinSet<Tally> = (0..CLIENTS)
            .map(|client| send_requests(client, load, ask.clone()))
            .collect();
        let mut tally = sum(clients).await;
        tally.wasted = peers.wasted();
        tally
    })
}

/// What one client does.
async fn send_requests(client: usize, load: Load, ask: Arc<Ask>) -> Tally {
    let mut rng = SmallRng::seed_from_u64(client as u64);
    let mut tally = Tally::default();
    let mut in_flight = JoinSet::new();
    let began = Instant::now();
    sleep(Duration::from_millis(rng.random_range(0..200))).await;
    while began.elapsed() < END {
        match load {
            Load::OneAtATime => tally += send_request(client, ask.clone()).await,
            Load::Steady => drop(in_flight.spawn(send_request(client, ask.clone()))),
        }
        sleep(Duration::from_millis(rng.random_range(100..=300))).await;
    }
    tally += sum(in_flight).await;
    tally
}

async fn send_request(client: usize, ask: Arc<Ask>) -> Tally {
    let sent = Instant::now();
    match ask(client).await {
        true => Tally {
            served: 1,
            longest: sent.elapsed(),
            ..Tally::default()
        },
        false => Tally {
            failed: 1,
            ..Tally::default()
        },
    }
}

async fn sum(mut tasks: JoinSet<Tally>) -> Tally {
    let mut total = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        total += tally.unwrap();
    }
    total
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.served += other.served;
        self.failed += other.failed;
        self.wasted += other.wasted;
        self.longest = self.longest.max(other.longest);
    }
}
