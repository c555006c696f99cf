//! `Pool::transaction`: run again where nothing has happened, and nowhere else.

#![allow(
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{LIMIT, err, fakes, pool, quick, until, up};
use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_mysql::mysql_async::{self, TxOpts};
use evenhand_mysql::{AttemptError, Error, Pool, Transaction};
use evenhand_testkit::{FakeMySql, Fault, MariaDb};
use tokio::sync::Barrier;
use tokio::time::{Instant, timeout};

const INSERT: &str = "INSERT INTO t VALUES (1)";

async fn server() -> MariaDb {
    let builder = MariaDb::builder().arg("--innodb-lock-wait-timeout=1");
    let started = tokio::task::spawn_blocking(move || builder.start()).await;
    // The error says how to install what is missing.
    started
        .unwrap()
        .unwrap_or_else(|error| unreachable!("{error}"))
}

/// Counters 1 and 2, both nought.
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
        .attempt_timeout(Duration::from_secs(2))
        .work_timeout(Duration::from_secs(20))
}

fn sent(fake: &FakeMySql, statement: &str) -> usize {
    let statements = fake.statements();
    statements.iter().filter(|s| *s == statement).count()
}

#[tokio::test]
async fn of_two_that_deadlock_both_are_done_once() {
    let server = server().await;
    let pool = Pool::with_options([("db0", &*server.url())], slow_but_sure()).unwrap();
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

#[tokio::test]
async fn one_that_waited_too_long_for_a_lock_is_done_again() {
    let server = server().await;
    let pool = Pool::with_options([("db0", &*server.url())], slow_but_sure()).unwrap();
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
async fn rollbacks_by_the_server_are_bounded_and_the_last_one_is_the_outcome() {
    for code in [1205, 1213, 1614, 3101] {
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
async fn rollbacks_by_the_server_are_followed_by_pauses_that_grow() {
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

/// It has gone on from there, and then failed by itself.
#[tokio::test]
async fn a_rollback_that_work_has_dealt_with_is_not_its_outcome() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    fake.answer_err(INSERT, err(1213, "Deadlock found"));
    let tries = AtomicUsize::new(0);
    let outcome: Result<(), Refused> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            tx.query_drop(INSERT).await.unwrap_err();
            tx.query_drop("DO 1").await?;
            Err(Refused::TooPoor)
        })
        .await;
    assert!(matches!(outcome, Err(Refused::TooPoor)), "{outcome:?}");
    assert_eq!(tries.into_inner(), 1);
}

/// The driver takes its own connection here, so the guard sees none of these errors.
#[tokio::test]
async fn a_rollback_that_the_guard_has_not_seen_is_recognised_too() {
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
async fn one_whose_connection_is_lost_before_its_commit_is_done_on_another_peer() {
    for seen in [true, false] {
        let fakes: [_; 2] = fakes().await;
        let pool = pool(&fakes, quick());
        for fake in &fakes {
            fake.answer(INSERT, ["n"], [[1]]);
        }
        let tried = std::sync::Mutex::new(Vec::new());
        pool.transaction(TxOpts::default(), async |mut tx| {
            let peer = tx.peer().to_owned();
            let first = {
                let mut tried = tried.lock().unwrap();
                tried.push(peer.clone());
                tried.len() == 1
            };
            tx.query_drop(INSERT).await?;
            if first {
                fakes[usize::from(peer == "b")].cut_connections();
            }
            if seen {
                tx.query_drop(INSERT).await
            } else {
                INSERT.ignore(&mut tx).await
            }
        })
        .await
        .unwrap_or_else(|error: mysql_async::Error| unreachable!("{error}"));
        let tried = tried.into_inner().unwrap();
        assert_eq!(tried.len(), 2);
        assert_ne!(tried[0], tried[1]);
        let commits: usize = fakes.iter().map(|fake| sent(fake, "COMMIT")).sum();
        assert_eq!(commits, 1);
    }
}

#[tokio::test]
async fn lost_on_every_peer_its_error_names_them_all() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            for fake in &fakes {
                fake.cut_connections();
            }
            tx.query_drop(INSERT).await
        })
        .await;
    let error = outcome.unwrap_err();
    let Some(Error::Work(error)) = Error::find(&error) else {
        unreachable!("{error}")
    };
    let mut tried: Vec<&str> = error.tries.iter().map(|failed| &*failed.peer).collect();
    tried.sort_unstable();
    assert_eq!(tried, ["a", "b"], "{error}");
}

/// `work` swallows what befell its connection, so that only the `COMMIT` could tell.
#[tokio::test]
async fn one_whose_connection_is_dead_before_its_commit_is_done_again() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    let tries = AtomicUsize::new(0);
    let done: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                let slow = tx.query_drop("SELECT SLEEP(30)");
                assert!(timeout(LIMIT / 3, slow).await.is_err());
            }
            Ok(())
        })
        .await;
    done.unwrap();
    assert_eq!(tries.into_inner(), 2);
    let commits: usize = fakes.iter().map(|fake| sent(fake, "COMMIT")).sum();
    assert_eq!(commits, 1);
}

#[tokio::test]
async fn one_whose_pool_is_closed_meanwhile_says_so() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    let tries = AtomicUsize::new(0);
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            // It waits for this connection.
            assert!(timeout(LIMIT / 3, pool.clone().disconnect()).await.is_err());
            for fake in &fakes {
                fake.cut_connections();
            }
            tx.query_drop(INSERT).await
        })
        .await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(Error::find(&error), Some(Error::Disconnected)),
        "{error}"
    );
    assert_eq!(tries.into_inner(), 1);
}

#[tokio::test]
async fn where_it_cannot_be_started_it_goes_to_another_peer() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick().transaction_attempts(1));
    fakes[0].set_fault(Fault::NotPrimary);
    fakes[1].answer(INSERT, ["n"], [[1]]);
    for n in 1..=10 {
        let done: mysql_async::Result<()> = pool
            .transaction(TxOpts::default(), async |mut tx| {
                tx.query_drop(INSERT).await
            })
            .await;
        done.unwrap();
        assert_eq!(sent(&fakes[1], "COMMIT"), n);
    }
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("too poor")]
    TooPoor,
    #[error(transparent)]
    Sql(#[from] mysql_async::Error),
}

#[tokio::test]
async fn its_own_error_rolls_back_and_is_returned_as_it_is() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    fake.answer(INSERT, ["n"], [[1]]);
    let outcome: Result<(), Refused> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tx.query_drop(INSERT).await?;
            Err(Refused::TooPoor)
        })
        .await;
    assert!(matches!(outcome, Err(Refused::TooPoor)), "{outcome:?}");
    let statements = fake.statements();
    let told: Vec<&str> = statements.iter().map(String::as_str).collect();
    assert_eq!(told, ["START TRANSACTION", INSERT, "ROLLBACK"]);

    // Another type of error hides nothing from the guard.
    fake.answer_err(INSERT, err(1213, "Deadlock found"));
    let tries = AtomicUsize::new(0);
    let outcome: Result<(), Refused> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            tx.query_drop(INSERT).await?;
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(Refused::Sql(_))), "{outcome:?}");
    assert_eq!(tries.into_inner(), 5, "the default");
}

#[tokio::test]
async fn its_rollback_on_a_frozen_peer_takes_no_longer_than_one_attempt() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    let start = Instant::now();
    let outcome: Result<(), Refused> = pool
        .transaction(TxOpts::default(), async |_| {
            fake.freeze();
            Err(Refused::TooPoor)
        })
        .await;
    let took = start.elapsed();
    assert!(matches!(outcome, Err(Refused::TooPoor)), "{outcome:?}");
    assert!((LIMIT..3 * LIMIT).contains(&took), "{took:?}");
    until("its place is free", || pool.usage().in_use == 0).await;
}

#[tokio::test]
async fn all_tries_together_end_by_their_deadline() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    let start = Instant::now();
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tx.query_drop("SELECT SLEEP(30)").await
        })
        .await;
    let took = start.elapsed();
    let error = outcome.unwrap_err();
    let Some(Error::Work(work)) = Error::find(&error) else {
        unreachable!("{error}")
    };
    assert!(
        matches!(work.tries[..], [ref one] if matches!(one.cause, AttemptError::OutOfTime)),
        "{error}"
    );
    assert!(
        (6 * LIMIT..6 * LIMIT + Duration::from_secs(1)).contains(&took),
        "{took:?}"
    );
    assert_eq!(sent(&fake, "COMMIT"), 0);
}

#[tokio::test]
async fn one_that_is_dropped_leaves_nothing_behind() {
    let server = server().await;
    let url = format!("{}?pool_min=0&pool_max=2", server.url());
    let pool = Pool::with_options([("db0", &*url)], slow_but_sure()).unwrap();
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

/// What is committed by hand is not done again, whatever comes next.
#[tokio::test]
async fn after_a_commit_of_its_own_nothing_is_done_again() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    let tries = AtomicUsize::new(0);
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            tx.query_drop("commit;").await?;
            for fake in &fakes {
                fake.cut_connections();
            }
            tx.query_drop(INSERT).await
        })
        .await;
    assert!(
        matches!(outcome, Err(mysql_async::Error::Io(_))),
        "{outcome:?}"
    );
    assert_eq!(tries.into_inner(), 1);
}

/// Whether it is committed is for the server to say, and the time for that is up.
#[tokio::test]
async fn after_a_commit_of_its_own_that_ran_out_of_time_its_outcome_is_unknown() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick().work_timeout(LIMIT));
    let tries = AtomicUsize::new(0);
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            tx.query_drop("COMMIT").await?;
            std::future::pending().await
        })
        .await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(Error::find(&error), Some(Error::OutcomeUnknown { .. })),
        "{error}"
    );
    assert_eq!(tries.into_inner(), 1);
}
