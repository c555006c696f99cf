//! Transactions, from the pool and on a connection.

use std::time::Duration;

use crate::common::{err, fakes, pool, pool_with, quick, states, until, up};
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::{Query, Queryable, WithParams};
use evenhand_mysql::mysql_async::{DriverError, Error, IsolationLevel, TxOpts, Value};
use evenhand_mysql::{Pool, Transaction};
use evenhand_testkit::{FakeMySql, Fault, MariaDb};
use tokio::time::timeout;

/// As a function that was written for the driver's takes it.
async fn insert(transaction: &mut Transaction<'_>, id: u32) {
    let row = "INSERT INTO t VALUES (?)".with((id,));
    row.ignore(transaction).await.unwrap();
}

async fn ids(pool: &Pool) -> Vec<u32> {
    "SELECT id FROM t ORDER BY id".fetch(pool).await.unwrap()
}

#[tokio::test]
async fn commits_and_rolls_back_on_a_server() {
    let started = tokio::task::spawn_blocking(MariaDb::start).await.unwrap();
    let server = started.unwrap_or_else(|error| unreachable!("{error}"));
    for parameters in [
        "pool_min=1&pool_max=2",
        "pool_min=1&pool_max=2&reset_connection=false",
    ] {
        let url = format!("{}?{parameters}", server.url());
        let pool = quick().open([("db0", &*url)]).unwrap();
        for statement in [
            "DROP TABLE IF EXISTS t",
            "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB",
        ] {
            statement.ignore(&pool).await.unwrap();
        }

        let mut one = pool.start_transaction(TxOpts::default()).await.unwrap();
        insert(&mut one, 1).await;
        assert!(ids(&pool).await.is_empty(), "not to be seen before its end");
        one.commit().await.unwrap();

        let mut two = pool.start_transaction(TxOpts::default()).await.unwrap();
        two.exec_drop("INSERT INTO t VALUES (?)", (2,))
            .await
            .unwrap();
        two.rollback().await.unwrap();

        let mut three = pool.start_transaction(TxOpts::default()).await.unwrap();
        insert(&mut three, 3).await;
        let task = tokio::spawn(async move { drop(three) });
        task.await.unwrap();
        until("its connection is back", || pool.usage().in_use == 0).await;
        assert_eq!(ids(&pool).await, [1]);

        // On a connection: what is dropped is rolled back before the next statement.
        let mut conn = pool.get_conn().await.unwrap();
        let mut four = conn.start_transaction(TxOpts::default()).await.unwrap();
        insert(&mut four, 4).await;
        drop(four);
        let seen: Vec<u32> = conn.query("SELECT id FROM t").await.unwrap();
        assert_eq!(seen, [1]);
        let mut five = conn.start_transaction(TxOpts::default()).await.unwrap();
        insert(&mut five, 5).await;
        five.commit().await.unwrap();
        drop(conn);
        assert_eq!(ids(&pool).await, [1, 5]);

        let mut options = TxOpts::default();
        options
            .with_readonly(true)
            .with_consistent_snapshot(true)
            .with_isolation_level(IsolationLevel::RepeatableRead);
        let mut reader = pool.start_transaction(options).await.unwrap();
        let seen: Vec<u32> = "SELECT id FROM t".fetch(&mut reader).await.unwrap();
        assert_eq!(seen, [1, 5]);
        let refused = reader.query_drop("DELETE FROM t").await.unwrap_err();
        assert!(
            matches!(refused, Error::Server(ref e) if e.code == 1792),
            "{refused}"
        );
        reader.rollback().await.unwrap();
        pool.disconnect().await.unwrap();
    }
}

/// A borrowed one, begun again after it was forgotten.
#[tokio::test]
async fn nested_transaction_is_refused() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    let mut conn = pool.get_conn().await.unwrap();
    std::mem::forget(conn.start_transaction(TxOpts::default()).await.unwrap());
    let nested = conn.start_transaction(TxOpts::default()).await.unwrap_err();
    assert!(
        matches!(nested, Error::Driver(DriverError::NestedTransaction)),
        "{nested}"
    );
}

async fn begun(fake: &FakeMySql) -> usize {
    let statements = fake.statements();
    statements
        .iter()
        .filter(|s| *s == "START TRANSACTION")
        .count()
}

#[tokio::test]
async fn refused_start_moves_to_another_peer() {
    for fault in [
        Fault::NotPrimary,
        Fault::CutMidPacket,
        Fault::StallInQuery,
        Fault::ErrInQuery(err(1053, "Server shutdown in progress")),
    ] {
        let fakes: [_; 2] = fakes().await;
        let pool = pool(&fakes, quick());
        fakes[0].set_fault(fault.clone());
        for n in 1..=10 {
            let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
            assert_eq!(transaction.peer(), "b", "{fault:?}");
            transaction
                .query_drop("INSERT INTO t VALUES (1)")
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            assert_eq!(begun(&fakes[1]).await, n, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn statements_are_classified() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    fake.set_fault(Fault::ErrInQuery(err(1053, "Server shutdown in progress")));
    transaction
        .query_drop("INSERT INTO t VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(states(&pool), [State::Ejected]);
}

#[tokio::test]
async fn failed_commit_rolls_back_with_its_error() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    fake.answer_err("COMMIT", err(1213, "Deadlock found"));
    let transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert!(
        matches!(error, Error::Server(ref e) if e.code == 1213),
        "{error}"
    );
    let statements = fake.statements();
    let told: Vec<&str> = statements.iter().map(String::as_str).collect();
    assert!(
        told.ends_with(&["START TRANSACTION", "COMMIT", "ROLLBACK"]),
        "{told:?}"
    );
}

#[tokio::test]
async fn cancelled_statement_ends_the_transaction() {
    let [fake] = fakes::<1>().await;
    let pool = pool(std::slice::from_ref(&fake), quick());
    let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
    let slow = transaction.query_drop("SELECT SLEEP(0.5)");
    assert!(timeout(Duration::from_millis(50), slow).await.is_err());
    let error = transaction.commit().await.unwrap_err();
    assert!(
        matches!(error, Error::Driver(DriverError::ConnectionClosed)),
        "{error}"
    );
    assert!(!fake.statements().contains(&"COMMIT".to_owned()));
    assert_eq!(states(&pool), [State::Up]);
}

/// Whether connections are reset or not.
#[tokio::test]
async fn drop_on_a_frozen_peer_frees_the_permit() {
    for parameters in ["", "&reset_connection=false"] {
        let [fake] = fakes::<1>().await;
        let parameters = format!("pool_min=0&pool_max=1{parameters}");
        let pool = pool_with(&parameters, std::slice::from_ref(&fake), quick());
        let transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
        fake.freeze();
        drop(transaction);
        assert_eq!(pool.usage().in_use, 1, "it is being cleaned up");
        until("its place is free, and the peer out", || {
            pool.usage().in_use == 0 && up(&pool) == 0
        })
        .await;
        fake.thaw();
        until("it is back", || up(&pool) == 1).await;
    }
}

/// A separate thread has no runtime. The next user must not see the transaction.
#[tokio::test]
async fn drop_outside_the_runtime_rolls_back() {
    for parameters in ["", "&reset_connection=false"] {
        let [fake] = fakes::<1>().await;
        let parameters = format!("pool_min=0&pool_max=1{parameters}");
        let pool = pool_with(&parameters, std::slice::from_ref(&fake), quick());
        let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
        transaction.query_drop("SET @left = 1").await.unwrap();
        std::thread::spawn(move || drop(transaction))
            .join()
            .unwrap();
        let mut conn = pool.get_conn().await.unwrap();
        let left: Option<Value> = conn.query_first("SELECT @left").await.unwrap();
        assert_eq!(left, Some(Value::NULL));
        assert_eq!(fake.logins(), 1, "the same session");
    }
}
