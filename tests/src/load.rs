//! Fifty tasks that query without pause and keep count, phase by phase, of who answered.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenhand_mysql::Pool;
use evenhand_mysql::mysql_async::{self, prelude::Queryable};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::until;

/// How many tasks query at once.
pub const TASKS: usize = 50;

/// What came of one query.
#[derive(Debug)]
pub enum Outcome {
    /// `@@port`: who answered.
    Port(u16),
    /// No connection was to be had.
    NoConnection(String),
    /// The query failed.
    Failed(String),
}

/// One query, done somehow.
pub type Query = Arc<dyn Fn(Pool) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// A checkout and a query, as plain code does it.
pub fn plain() -> Query {
    Arc::new(|pool| {
        Box::pin(async move {
            let mut conn = match pool.get_conn().await {
                Ok(conn) => conn,
                Err(error) => return Outcome::NoConnection(error.to_string()),
            };
            port(conn.query_first("SELECT @@port").await)
        })
    })
}

/// The query marked idempotent; it takes 20 ms, so that some are always under way.
pub fn idempotent() -> Query {
    Arc::new(|pool| {
        Box::pin(async move {
            let query = "SELECT @@port + SLEEP(0.02)";
            port(
                pool.run_idempotent(async |mut conn| conn.query_first(query).await)
                    .await,
            )
        })
    })
}

fn port(answer: mysql_async::Result<Option<u16>>) -> Outcome {
    match answer {
        Ok(Some(port)) => Outcome::Port(port),
        Ok(None) => Outcome::Failed("no row".into()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// What happened to the queries that were started in one phase.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by port.
    pub served: BTreeMap<u16, usize>,
    /// Errors of checkouts.
    pub no_connection: Vec<String>,
    /// Errors of queries.
    pub failed: Vec<String>,
    /// The longest that one took.
    pub longest: Duration,
}

impl Tally {
    /// Answers in all.
    pub fn total(&self) -> usize {
        self.served.values().sum()
    }

    /// Answers by this port.
    pub fn by(&self, port: u16) -> usize {
        self.served.get(&port).copied().unwrap_or(0)
    }
}

/// The tasks and their count. A query belongs to the phase in which it was started.
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    phase: AtomicUsize,
    tallies: Mutex<BTreeMap<usize, Tally>>,
}

impl Load {
    /// Starts the tasks, in phase 0.
    pub fn start(pool: &Pool, query: &Query) -> Self {
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (shared, pool, query) = (shared.clone(), pool.clone(), query.clone());
            tasks.spawn(async move {
                while !shared.stop.load(Ordering::Acquire) {
                    let phase = shared.phase.load(Ordering::Acquire);
                    let start = Instant::now();
                    let outcome = query(pool.clone()).await;
                    shared.count(phase, start.elapsed(), outcome);
                }
            });
        }
        Self { shared, tasks }
    }

    /// Starts the next phase.
    pub fn next_phase(&self) {
        self.shared.phase.fetch_add(1, Ordering::AcqRel);
    }

    /// The count of one phase so far.
    pub fn tally(&self, phase: usize) -> Tally {
        let tallies = self.shared.tallies.lock().expect("no count panics");
        tallies.get(&phase).cloned().unwrap_or_default()
    }

    /// Goes on for `time`, and until the present phase has `answers` answers.
    pub async fn go_on(&self, time: Duration, answers: usize) {
        let phase = self.shared.phase.load(Ordering::Acquire);
        let start = Instant::now();
        let what = format!("{answers} answers in phase {phase}");
        let limit = Duration::from_secs(120);
        until(&what, limit, || {
            start.elapsed() >= time && self.tally(phase).total() >= answers
        })
        .await;
    }

    /// Ends the tasks, each after its present query.
    pub async fn stop(mut self) -> Vec<Tally> {
        self.shared.stop.store(true, Ordering::Release);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no task panics");
        }
        (0..=self.shared.phase.load(Ordering::Acquire))
            .map(|phase| self.tally(phase))
            .collect()
    }
}

impl Shared {
    fn count(&self, phase: usize, took: Duration, outcome: Outcome) {
        let mut tallies = self.tallies.lock().expect("no count panics");
        let tally = tallies.entry(phase).or_default();
        tally.longest = tally.longest.max(took);
        match outcome {
            Outcome::Port(port) => *tally.served.entry(port).or_default() += 1,
            Outcome::NoConnection(error) => tally.no_connection.push(error),
            Outcome::Failed(error) => tally.failed.push(error),
        }
    }
}
