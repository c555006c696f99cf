//! Tasks that write: numbered entries, and transfers between accounts. What each was told is kept,
//! and held against what the servers have in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenhand_mysql::Pool;
use evenhand_mysql::mysql_async::prelude::{Query, Queryable, WithParams};
use evenhand_mysql::mysql_async::{self, Conn, Error, Opts, TxOpts};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::sql;

/// How many tasks write at once.
pub const TASKS: u64 = 24;

const ACCOUNTS: u64 = 100;
const EACH: i64 = 1_000;

/// What its writer was told of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It was done.
    Done,
    /// It was not done, and never will be.
    Refused,
    /// It may have been done or not.
    Unknown,
}

/// What the answer to a `COMMIT`, or to a statement that commits itself, says of the write.
pub fn fate(answer: &mysql_async::Result<()>) -> Fate {
    match answer {
        Ok(()) => Fate::Done,
        // The node lost its quorum as it committed.
        Err(Error::Server(error)) if error.code == 1180 => Fate::Unknown,
        Err(Error::Server(_)) => Fate::Refused,
        Err(error) => match evenhand_mysql::Error::find(error) {
            // There was no connection.
            Some(evenhand_mysql::Error::Checkout { .. } | evenhand_mysql::Error::Full { .. }) => {
                Fate::Refused
            }
            _ => Fate::Unknown,
        },
    }
}

/// Makes the tables, on one server of a cluster.
pub async fn prepare(url: &str) {
    let mut conn = Conn::new(Opts::from_url(url).unwrap()).await.unwrap();
    for statement in [
        "CREATE TABLE test.account (id INT PRIMARY KEY, sum BIGINT NOT NULL)",
        // Nothing but the writers sees to it that a number comes only once.
        "CREATE TABLE test.entry (id BIGINT AUTO_INCREMENT PRIMARY KEY, number BIGINT NOT NULL)",
        "CREATE TABLE test.transfer (id BIGINT AUTO_INCREMENT PRIMARY KEY, \
         number BIGINT NOT NULL, source INT NOT NULL, target INT NOT NULL, amount INT NOT NULL)",
    ] {
        conn.query_drop(statement).await.unwrap();
    }
    let accounts = (0..ACCOUNTS).map(|id| (id, EACH));
    let insert = "INSERT INTO test.account VALUES (?, ?)";
    conn.exec_batch(insert, accounts).await.unwrap();
    conn.disconnect().await.unwrap();
}

/// The tasks and what they were told.
pub struct Accounting {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    next: AtomicU64,
    told: Mutex<Told>,
}

/// What writers were told, by the number of the write.
#[derive(Clone, Debug, Default)]
pub struct Told {
    entries: BTreeMap<u64, Fate>,
    transfers: BTreeMap<u64, Fate>,
}

impl Told {
    /// How many writes met this fate: entries, and transfers.
    pub fn of(&self, fate: Fate) -> (usize, usize) {
        let of = |told: &BTreeMap<u64, Fate>| told.values().filter(|is| **is == fate).count();
        (of(&self.entries), of(&self.transfers))
    }
}

impl Accounting {
    /// Starts the tasks: half of them write entries, half make transfers, each with this pause
    /// between two of its writes.
    pub fn open(pool: &Pool, pause: Duration) -> Self {
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (shared, pool) = (shared.clone(), pool.clone());
            tasks.spawn(async move {
                while !shared.stop.load(Ordering::Acquire) {
                    let number = shared.next.fetch_add(1, Ordering::Relaxed);
                    if task % 2 == 0 {
                        let fate = transfer(&pool, number).await;
                        shared.told().transfers.insert(number, fate);
                    } else {
                        let fate = entry(&pool, number, task % 4 == 1).await;
                        shared.told().entries.insert(number, fate);
                    }
                    sleep(pause).await;
                }
            });
        }
        Self { shared, tasks }
    }

    /// What was told so far.
    pub fn told(&self) -> Told {
        self.shared.told().clone()
    }

    /// Ends the tasks, each after its present write.
    pub async fn close(mut self) -> Told {
        self.shared.stop.store(true, Ordering::Release);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no task panics");
        }
        self.told()
    }
}

impl Shared {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().expect("the lock is not poisoned")
    }
}

/// An entry, on a checked-out connection or on the pool itself.
async fn entry(pool: &Pool, number: u64, on_pool: bool) -> Fate {
    let insert = "INSERT INTO test.entry (number) VALUES (?)";
    if on_pool {
        return fate(&insert.with((number,)).ignore(pool).await);
    }
    match pool.get_conn().await {
        Ok(mut conn) => fate(&conn.exec_drop(insert, (number,)).await),
        Err(_) => Fate::Refused,
    }
}

/// A transfer between two accounts that the number tells. What fails before its `COMMIT` is not
/// done.
async fn transfer(pool: &Pool, number: u64) -> Fate {
    let source = number % ACCOUNTS;
    let target = (source + 1 + number / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS;
    let amount = i64::try_from(number % 7 + 1).unwrap();
    let Ok(mut transaction) = pool.start_transaction(TxOpts::default()).await else {
        return Fate::Refused;
    };
    let mut changes = [(source, -amount), (target, amount)];
    // All in the same order, so that they wait for each other and do not lock each other out.
    changes.sort_unstable();
    for (account, change) in changes {
        let update = "UPDATE test.account SET sum = sum + ? WHERE id = ?";
        if transaction
            .exec_drop(update, (change, account))
            .await
            .is_err()
        {
            return Fate::Refused;
        }
    }
    let insert = "INSERT INTO test.transfer (number, source, target, amount) VALUES (?, ?, ?, ?)";
    let values = (number, source, target, amount);
    if transaction.exec_drop(insert, values).await.is_err() {
        return Fate::Refused;
    }
    let answer = transaction.commit().await;
    if let Err(error) = &answer
        && !matches!(error, Error::Server(_))
    {
        let found = evenhand_mysql::Error::find(error);
        let says_so = matches!(found, Some(evenhand_mysql::Error::OutcomeUnknown { .. }));
        assert!(says_so, "a COMMIT that was sent: {error}");
    }
    fate(&answer)
}

/// What one server has.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// How often each number is there.
    entries: BTreeMap<u64, usize>,
    transfers: BTreeMap<u64, usize>,
    /// What each account has, and what it should have after the transfers that are there.
    sums: BTreeMap<u64, i64>,
    due: BTreeMap<u64, i64>,
}

/// Reads what a server has, once it has all that the cluster has.
pub async fn kept(url: &str) -> Kept {
    let mut conn = Conn::new(Opts::from_url(url).unwrap()).await.unwrap();
    sql::read_all(&mut conn).await;
    let entries: Vec<u64> = conn.query("SELECT number FROM test.entry").await.unwrap();
    let select = "SELECT number, source, target, amount FROM test.transfer";
    let transfers: Vec<(u64, u64, u64, i64)> = conn.query(select).await.unwrap();
    let select = "SELECT id, sum FROM test.account";
    let sums: Vec<(u64, i64)> = conn.query(select).await.unwrap();
    conn.disconnect().await.unwrap();

    let mut due: BTreeMap<u64, i64> = (0..ACCOUNTS).map(|id| (id, EACH)).collect();
    for (_, source, target, amount) in &transfers {
        *due.entry(*source).or_default() -= amount;
        *due.entry(*target).or_default() += amount;
    }
    Kept {
        entries: tally(entries),
        transfers: tally(transfers.into_iter().map(|(number, ..)| number)),
        sums: sums.into_iter().collect(),
        due,
    }
}

fn tally(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    let mut tally = BTreeMap::new();
    for number in numbers {
        *tally.entry(number).or_default() += 1;
    }
    tally
}

impl Kept {
    /// Holds what a server has against what the writers were told. How many of unknown fate turn
    /// out to be there.
    ///
    /// # Panics
    ///
    /// If a write that was done is not there once, one that was refused is, any is there twice, or
    /// the accounts are not what the transfers made them.
    pub fn agrees_with(&self, told: &Told) -> usize {
        let there = agree("entry", &self.entries, &told.entries)
            + agree("transfer", &self.transfers, &told.transfers);
        let total: i64 = self.sums.values().sum();
        assert_eq!(total, EACH * ACCOUNTS as i64, "money was made or lost");
        assert_eq!(self.sums, self.due, "an account and its transfers differ");
        there
    }
}

fn agree(what: &str, kept: &BTreeMap<u64, usize>, told: &BTreeMap<u64, Fate>) -> usize {
    for number in kept.keys() {
        assert!(told.contains_key(number), "{what} {number} was never sent");
    }
    let mut unknown_there = 0;
    for (number, fate) in told {
        let times = kept.get(number).copied().unwrap_or(0);
        match fate {
            Fate::Done => assert_eq!(times, 1, "{what} {number} was acknowledged"),
            Fate::Refused => assert_eq!(times, 0, "{what} {number} was refused"),
            Fate::Unknown => {
                assert!(times <= 1, "{what} {number} of unknown fate: {times} times");
                unknown_there += times;
            }
        }
    }
    unknown_there
}
