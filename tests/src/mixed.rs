//! Fifty tasks of mixed work: most of it marked idempotent, some of it plain, so that both kinds
//! of promise are put to the test. Each outcome is kept with its peer, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::mysql_async::{self, Conn, Opts};
use evenhand_mysql::{PeerConn, Pool};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::sql;

/// How many tasks work at once.
pub const TASKS: usize = 50;
/// How many of them do plain work.
pub const PLAIN: usize = 15;

/// What the table of [`prepare`] answers.
const ANSWER: u32 = 42;

/// One piece of work. Each takes 20 ms, so that some are always under way, and reads or writes a
/// table: a Galera node that refuses work still answers what touches none.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A read. An answer that is not the right one is a failure.
    Read,
    /// A write that comes out the same when done twice.
    Write,
}

impl Work {
    async fn on(self, conn: &mut PeerConn) -> Result<(), String> {
        match self {
            Self::Read => {
                let read = "SELECT n FROM test.answer WHERE SLEEP(0.02) = 0";
                match conn.query_first::<u32, _>(read).await {
                    Ok(Some(ANSWER)) => Ok(()),
                    Ok(other) => Err(format!("wrong answer: {other:?}")),
                    Err(error) => Err(error.to_string()),
                }
            }
            Self::Write => {
                let write = "REPLACE INTO test.mark SELECT CONNECTION_ID(), SLEEP(0.02)";
                let written = conn.query_drop(write).await;
                written.map_err(|error| error.to_string())
            }
        }
    }
}

/// Makes the tables of the work, on a server or on every node of a cluster, and waits until each
/// has them.
pub async fn prepare(urls: &[String]) {
    for url in urls {
        sql::run(
            url,
            &[
                "CREATE TABLE IF NOT EXISTS test.answer (n INT PRIMARY KEY)",
                "CREATE TABLE IF NOT EXISTS test.mark (id BIGINT PRIMARY KEY, n INT)",
                "REPLACE INTO test.answer VALUES (42)",
            ],
        )
        .await;
    }
    for url in urls {
        let mut conn = Conn::new(Opts::from_url(url).unwrap()).await.unwrap();
        sql::read_all(&mut conn).await;
        let answer = conn.query_first("SELECT n FROM test.answer").await.unwrap();
        assert_eq!(answer, Some(ANSWER));
        conn.disconnect().await.unwrap();
    }
}

/// Work that was not done.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whose connection it had; `None` if it had none.
    pub peer: Option<String>,
    /// When it got its connection, or set out to get one.
    pub since: Instant,
    /// When it failed.
    pub at: Instant,
    /// Why.
    pub error: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.peer.as_deref().unwrap_or("no peer");
        let (held, ago) = (self.at - self.since, self.at.elapsed());
        let error = &self.error;
        write!(
            f,
            "on {peer}, {ago:.1?} ago, {held:.1?} after its checkout: {error}"
        )
    }
}

/// What came of one kind of work.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// What was done, by peer.
    pub served: BTreeMap<String, usize>,
    /// What was not.
    pub failed: Vec<Failure>,
}

impl Tally {
    /// What was done by all peers.
    pub fn total(&self) -> usize {
        self.served.values().sum()
    }
}

/// What came of all.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// Work through `run_idempotent`.
    pub idempotent: Tally,
    /// A checkout and a statement.
    pub plain: Tally,
    /// When work that was done had got its connection, for each peer the latest such moment.
    pub latest: BTreeMap<String, Instant>,
    /// The longest from asking for a connection to having one.
    pub longest_checkout: Duration,
    /// The longest that idempotent work took, with all its tries.
    pub longest_work: Duration,
}

impl Count {
    /// What this peer has done.
    pub fn by(&self, peer: &str) -> usize {
        let by = |tally: &Tally| tally.served.get(peer).copied().unwrap_or(0);
        by(&self.idempotent) + by(&self.plain)
    }

    fn settle(
        &mut self,
        kind: Kind,
        peer: Option<String>,
        since: Instant,
        done: Result<(), String>,
    ) {
        let tally = match kind {
            Kind::Idempotent => &mut self.idempotent,
            Kind::Plain => &mut self.plain,
        };
        match (peer, done) {
            (Some(peer), Ok(())) => {
                *tally.served.entry(peer.clone()).or_default() += 1;
                let latest = self.latest.entry(peer).or_insert(since);
                *latest = since.max(*latest);
            }
            (peer, done) => tally.failed.push(Failure {
                peer,
                since,
                at: Instant::now(),
                error: done.err().unwrap_or_default(),
            }),
        }
    }
}

enum Kind {
    Idempotent,
    Plain,
}

/// The tasks and their count.
pub struct Mixed {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// How many times each task has ended its work, well or not.
    rounds: Vec<AtomicU64>,
    count: Mutex<Count>,
}

impl Mixed {
    /// Starts the tasks.
    pub fn start(pool: &Pool, work: Work) -> Self {
        let shared = Arc::new(Shared {
            rounds: (0..TASKS).map(|_| AtomicU64::new(0)).collect(),
            ..Shared::default()
        });
        let mut tasks = JoinSet::new();
        for number in 0..TASKS {
            let (shared, pool) = (shared.clone(), pool.clone());
            tasks.spawn(async move {
                while !shared.stop.load(Ordering::Acquire) {
                    match number < PLAIN {
                        true => plain(&pool, work, &shared).await,
                        false => idempotent(&pool, work, &shared).await,
                    }
                    shared.rounds[number].fetch_add(1, Ordering::Release);
                }
            });
        }
        Self { shared, tasks }
    }

    /// The count so far.
    pub fn count(&self) -> Count {
        self.shared.count().clone()
    }

    /// What this peer has done so far.
    pub fn by(&self, peer: &str) -> usize {
        self.shared.count().by(peer)
    }

    /// How many pieces of idempotent work each of its tasks has ended.
    pub fn idempotent_rounds(&self) -> Vec<u64> {
        let tasks = self.shared.rounds[PLAIN..].iter();
        tasks.map(|rounds| rounds.load(Ordering::Acquire)).collect()
    }

    /// Ends the tasks, each after its present work.
    pub async fn stop(mut self) -> Count {
        self.shared.stop.store(true, Ordering::Release);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no task panics");
        }
        self.count()
    }
}

impl Shared {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().expect("no count panics")
    }
}

async fn plain(pool: &Pool, work: Work, shared: &Shared) {
    let asked = Instant::now();
    let outcome = pool.get_conn().await;
    let since = Instant::now();
    let took = since - asked;
    let (peer, done) = match outcome {
        Ok(mut conn) => (Some(conn.peer().to_owned()), work.on(&mut conn).await),
        Err(error) => (None, Err(error.to_string())),
    };
    let mut count = shared.count();
    count.longest_checkout = count.longest_checkout.max(took);
    count.settle(Kind::Plain, peer, since, done);
}

async fn idempotent(pool: &Pool, work: Work, shared: &Shared) {
    let asked = Instant::now();
    // How long the first connection took; the last one's peer, and when it was had.
    let (first, last) = (OnceLock::new(), Mutex::new(None));
    let done: mysql_async::Result<String> = pool
        .run_idempotent(|mut conn| {
            first.get_or_init(|| asked.elapsed());
            let peer = conn.peer().to_owned();
            *last.lock().expect("the lock is not poisoned") = Some((peer.clone(), Instant::now()));
            async move {
                // The error itself is the pool's to judge: it has seen it already.
                let done = work.on(&mut conn).await;
                let failed = |error: String| mysql_async::Error::Other(error.into());
                done.map(|()| peer).map_err(failed)
            }
        })
        .await;
    let took = asked.elapsed();
    let mut count = shared.count();
    let checkout = first.into_inner().unwrap_or(took);
    count.longest_checkout = count.longest_checkout.max(checkout);
    count.longest_work = count.longest_work.max(took);
    let done = done.map(drop).map_err(|error| error.to_string());
    let last = last.into_inner().expect("the lock is not poisoned");
    let (peer, since) = last.map_or((None, asked), |(peer, since)| (Some(peer), since));
    count.settle(Kind::Idempotent, peer, since, done);
}
