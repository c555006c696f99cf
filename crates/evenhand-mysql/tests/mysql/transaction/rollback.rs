//! `Pool::transaction` that is rolled back: by the server, for a deadlock or a lock that it waited
//! for too long, or because its caller dropped it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{GUARD, LIMIT, err, fakes, pool, quick, until, up};
use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_mysql::mysql_async::{self, TxOpts};
use evenhand_mysql::{Pool, Transaction};
use evenhand_testkit::{FakeMySql, MariaDb};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const INSERT: &str = "INSERT INTO t VALUES (1)";

async fn server() -> MariaDb {
    let builder = MariaDb::builder()
        .arg("--innodb-lock-wait-timeout=1")
        // Usual in MariaDB 11.8. Others do not know it.
        .arg("--loose-innodb-snapshot-isolation=ON");
    let started = tokio::task::spawn_blocking(move || builder.start()).await;
    // The error says how to install what is missing.
    started
        .unwrap()
        .unwrap_or_else(|error| unreachable!("{error}"))
}

/// Counters 1 and 2, both zero.
async fn counters(pool: &Pool) {
    for statement in [
        "CREATE TABLE t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB",
        "INSERT INTO t VALUES (1, 0), (2, 0)",
    ] {
        statement.ignore(pool).await.unwrap();
    }
}

async fn counted(pool: &Pool) -> Vec<u32> {
    "SELECT n FROM t ORDER BY id".fetch(pool).await.unwrap()
}

async fn count(transaction: &mut Transaction<'_>, id: u32) -> mysql_async::Result<()> {
    let statement = "UPDATE t SET n = n + 1 WHERE id = ?";
    transaction.exec_drop(statement, (id,)).await
}

fn slow_but_sure() -> evenhand_mysql::PoolOptions {
    quick()
        .connect_timeout(Duration::from_secs(2))
        .work_timeout(Duration::from_secs(20))
}

#[tokio::test]
async fn deadlocked_pair_commits_once_each() {
    let server = server().await;
    let pool = slow_but_sure().open([("db0", &*server.url())]).unwrap();
    counters(&pool).await;
    let (tries, both) = (Arc::<AtomicUsize>::default(), Arc::new(Barrier::new(2)));
    let two = [[1, 2], [2, 1]].map(|[first, second]| {
        let (pool, tries, both) = (pool.clone(), tries.clone(), both.clone());
        tokio::spawn(async move {
            let own_tries = AtomicUsize::new(0);
            pool.transaction(TxOpts::default(), async |mut tx| {
                count(&mut tx, first).await?;
                tries.fetch_add(1, Ordering::Relaxed);
                if own_tries.fetch_add(1, Ordering::Relaxed) == 0 {
                    both.wait().await;
                }
                count(&mut tx, second).await
            })
            .await
        })
    });
    for one in two {
        one.await.unwrap().unwrap();
    }
    assert_eq!(counted(&pool).await, [2, 2]);
    assert!(tries.load(Ordering::Relaxed) >= 3, "one was done again");
    assert_eq!(up(&pool), 1);
}

/// Where a transaction sees a snapshot, each update of a row that another one has changed since is a
/// conflict.
///
/// Rows: restart-transaction (MariaDB)
#[tokio::test]
async fn conflicting_transactions_are_all_done() {
    const TASKS: u32 = 20;
    const EACH: u32 = 10;
    let server = server().await;
    let options = slow_but_sure().work_timeout(GUARD);
    let pool = options.open([("db0", &*server.url())]).unwrap();
    counters(&pool).await;
    let (tries, mut tasks) = (Arc::<AtomicUsize>::default(), JoinSet::new());
    for _ in 0..TASKS {
        let (pool, tries) = (pool.clone(), tries.clone());
        tasks.spawn(async move {
            for _ in 0..EACH {
                let work = async |mut tx: Transaction<'_>| {
                    tries.fetch_add(1, Ordering::Relaxed);
                    let read = "SELECT n FROM t WHERE id = 1";
                    let _: Option<u32> = tx.query_first(read).await?;
                    count(&mut tx, 1).await
                };
                let done: mysql_async::Result<()> = pool.transaction(TxOpts::default(), work).await;
                done.unwrap();
            }
        });
    }
    tasks.join_all().await;
    println!("{TASKS} x {EACH} transactions in {tries:?} tries");
    assert_eq!(counted(&pool).await, [TASKS * EACH, 0]);
    assert_eq!(up(&pool), 1);
}

#[tokio::test]
async fn lock_wait_timeout_is_retried() {
    let server = server().await;
    let pool = slow_but_sure().open([("db0", &*server.url())]).unwrap();
    counters(&pool).await;
    let mut holder = pool.start_transaction(TxOpts::default()).await.unwrap();
    count(&mut holder, 1).await.unwrap();
    let tries = Arc::<AtomicUsize>::default();
    let waiter = tokio::spawn({
        let (pool, tries) = (pool.clone(), tries.clone());
        async move {
            pool.transaction(TxOpts::default(), async |mut tx| {
                tries.fetch_add(1, Ordering::Relaxed);
                count(&mut tx, 2).await?;
                count(&mut tx, 1).await
            })
            .await
        }
    });
    until("it is done again", || tries.load(Ordering::Relaxed) == 2).await;
    holder.commit().await.unwrap();
    waiter.await.unwrap().unwrap();
    assert_eq!(counted(&pool).await, [2, 1]);
}

#[tokio::test]
async fn retries_are_bounded_and_return_the_last_error() {
    for code in [1020, 1205, 1213, 1614, 3101] {
        for statement in [INSERT, "COMMIT"] {
            let [fake] = fakes::<1>().await;
            let pool = pool(std::slice::from_ref(&fake), quick().transaction_attempts(3));
            fake.answer(INSERT, ["n"], [[1]]);
            fake.answer_err(statement, err(code, "try restarting transaction"));
            let tries = AtomicUsize::new(0);
            let outcome: mysql_async::Result<()> = pool
                .transaction(TxOpts::default(), async |mut tx| {
                    tries.fetch_add(1, Ordering::Relaxed);
                    tx.query_drop(INSERT).await
                })
                .await;
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, mysql_async::Error::Server(ref e) if e.code == code),
                "{error}"
            );
            assert_eq!(tries.into_inner(), 3, "{code} {statement}");
        }
    }
}

#[tokio::test]
async fn retry_pauses_grow() {
    let [fake] = fakes::<1>().await;
    let options = quick()
        .transaction_attempts(8)
        .work_timeout(Duration::from_secs(20));
    let pool = pool(std::slice::from_ref(&fake), options);
    fake.answer_err(INSERT, err(1213, "Deadlock found"));
    let tries = std::sync::Mutex::new(Vec::new());
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.lock().unwrap().push(Instant::now());
            tx.query_drop(INSERT).await
        })
        .await;
    outcome.unwrap_err();
    let tries = tries.into_inner().unwrap();
    let paused: Vec<Duration> = tries.windows(2).map(|two| two[1] - two[0]).collect();
    let least = [5, 10, 20, 40, 80, 160, 200].map(|time| Duration::from_millis(time) / 2);
    assert_eq!(paused.len(), least.len());
    assert!(
        paused
            .iter()
            .zip(&least)
            .all(|(paused, least)| paused >= least),
        "{paused:?}"
    );
}

#[tokio::test]
async fn rollbacks_are_bounded_by_time_alone() {
    let [fake] = fakes::<1>().await;
    let options = quick().work_timeout(Duration::from_secs(2));
    let pool = pool(std::slice::from_ref(&fake), options);
    fake.answer_err(INSERT, err(1020, "Record has changed since last read"));
    let (tries, start) = (AtomicUsize::new(0), Instant::now());
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            tx.query_drop(INSERT).await
        })
        .await;
    outcome.unwrap_err();
    assert!(start.elapsed() > Duration::from_secs(1), "its time is used");
    assert!(tries.into_inner() > 5);
}

/// Its server became read-only, or left its group. Nothing was committed there.
///
/// Rows: read-only-option, read-only-mode, group-left (the double)
#[tokio::test]
async fn refused_commit_is_done_on_another_peer() {
    for error in [
        err(1290, "running with the --super-read-only option"),
        err(1836, "Running in read-only mode"),
        err(3100, "running replication hook 'before_commit'"),
    ] {
        for writable in [true, false] {
            let fakes: [_; 2] = fakes().await;
            fakes[0].answer_err("COMMIT", error.clone());
            let pool = pool(&fakes, quick().writable(writable));
            let tries = AtomicUsize::new(0);
            while fakes[0].queries() == 0 {
                let done: mysql_async::Result<()> = pool
                    .transaction(TxOpts::default(), async |mut tx| {
                        tries.fetch_add(1, Ordering::Relaxed);
                        tx.query_drop("DO 1").await
                    })
                    .await;
                done.unwrap();
            }
            let commits = |fake: &FakeMySql| {
                let statements = fake.statements();
                statements.iter().filter(|sent| *sent == "COMMIT").count()
            };
            let all = commits(&fakes[0]) + commits(&fakes[1]);
            assert_eq!(all, tries.into_inner(), "{error:?}");
            assert_eq!(up(&pool), if writable { 1 } else { 2 });
        }
    }
}

/// The driver takes its own connection here, so the guard sees none of these errors.
#[tokio::test]
async fn unseen_rollback_is_recognised() {
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick().transaction_attempts(2));
    fake.answer_err(INSERT, err(1213, "Deadlock found"));
    let tries = AtomicUsize::new(0);
    let plain: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            INSERT.ignore(&mut tx).await
        })
        .await;
    plain.unwrap_err();
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    let boxed: Result<(), Boxed> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            Ok(INSERT.ignore(&mut tx).await?)
        })
        .await;
    boxed.unwrap_err();
    assert_eq!(tries.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn dropped_transaction_leaks_nothing() {
    let server = server().await;
    let url = format!("{}?pool_min=0&pool_max=2", server.url());
    let pool = slow_but_sure().open([("db0", &*url)]).unwrap();
    counters(&pool).await;
    for inside_a_statement in [true, false] {
        let work = pool.transaction(TxOpts::default(), async |mut tx| {
            count(&mut tx, 1).await?;
            if inside_a_statement {
                tx.query_drop("SELECT SLEEP(30)").await
            } else {
                std::future::pending::<mysql_async::Result<()>>().await
            }
        });
        assert!(timeout(LIMIT, work).await.is_err());
        until("its place is free", || pool.usage().in_use == 0).await;
    }
    assert_eq!(counted(&pool).await, [0, 0]);
}
