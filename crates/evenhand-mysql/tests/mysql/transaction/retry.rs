//! `Pool::transaction`: run again where nothing has happened, and nowhere else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{LIMIT, err, fakes, pool, quick, soon, until};
use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_mysql::mysql_async::{self, DriverError, TxOpts};
use evenhand_mysql::{AttemptError, Error};
use evenhand_testkit::{FakeMySql, Fault};
use tokio::time::{Instant, timeout};

const INSERT: &str = "INSERT INTO t VALUES (1)";

fn sent(fake: &FakeMySql, statement: &str) -> usize {
    let statements = fake.statements();
    statements.iter().filter(|s| *s == statement).count()
}

/// How many were sent to all of them.
fn commits(fakes: &[FakeMySql]) -> usize {
    fakes.iter().map(|fake| sent(fake, "COMMIT")).sum()
}

/// It goes on from there, and then fails by itself.
#[tokio::test]
async fn handled_rollback_is_not_retried() {
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

#[tokio::test]
async fn lost_connection_moves_to_another_peer() {
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
        assert_eq!(commits(&fakes), 1);
    }
}

#[tokio::test]
async fn lost_everywhere_names_every_peer() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick().transaction_attempts(5));
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
    assert_eq!(tried.len(), 5, "as often as it may: {error}");
    tried[..2].sort_unstable();
    assert_eq!(tried[..2], ["a", "b"], "{error}");
}

/// `work` does not pass on what happened to its connection, so that only the `COMMIT` could tell.
#[tokio::test]
async fn dead_connection_before_commit_is_retried() {
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
    assert_eq!(commits(&fakes), 1);
}

#[tokio::test]
async fn closed_pool_is_reported() {
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
        matches!(
            error,
            mysql_async::Error::Driver(DriverError::PoolDisconnected)
        ),
        "{error}"
    );
    assert_eq!(tries.into_inner(), 1);
}

#[tokio::test]
async fn failed_start_moves_to_another_peer() {
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
async fn own_error_rolls_back_and_is_returned() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick().transaction_attempts(5));
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
    assert_eq!(tries.into_inner(), 5);
}

#[tokio::test]
async fn rollback_on_a_frozen_peer_is_bounded() {
    let [fake] = fakes::<1>().await;
    // Nothing but the limit of an attempt ends it.
    let options = quick().work_timeout(Duration::from_secs(3600));
    let pool = pool(std::slice::from_ref(&fake), options);
    let start = Instant::now();
    let work = pool.transaction(TxOpts::default(), async |_| {
        fake.freeze();
        Err(Refused::TooPoor)
    });
    let outcome: Result<(), Refused> = soon(work).await;
    let took = start.elapsed();
    assert!(matches!(outcome, Err(Refused::TooPoor)), "{outcome:?}");
    assert!(took >= LIMIT, "{took:?}");
    until("its place is free", || pool.usage().in_use == 0).await;
}

#[tokio::test]
async fn deadline_covers_all_tries() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    let start = Instant::now();
    let work = pool.transaction(TxOpts::default(), async |mut tx| {
        tx.query_drop("SELECT SLEEP(3600)").await
    });
    let outcome: mysql_async::Result<()> = soon(work).await;
    let took = start.elapsed();
    let error = outcome.unwrap_err();
    let Some(Error::Work(work)) = Error::find(&error) else {
        unreachable!("{error}")
    };
    assert!(
        matches!(work.tries[..], [ref one] if matches!(one.cause, AttemptError::OutOfTime)),
        "{error}"
    );
    assert!(took >= 6 * LIMIT, "{took:?}");
    assert_eq!(sent(&fake, "COMMIT"), 0);
}

/// What is committed by hand is not done again, whatever comes next.
#[tokio::test]
async fn manual_commit_is_not_retried() {
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
async fn manual_commit_timeout_leaves_outcome_unknown() {
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
