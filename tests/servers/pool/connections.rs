//! What a checked-out connection does on a real server.

use std::time::Duration;

use evenhand_mysql::mysql_async::prelude::{Query, Queryable, WithParams};
use evenhand_mysql::mysql_async::{DriverError, Error, TxOpts, Value};
use evenhand_mysql::{Pool, evenhand::State};
use evenhand_tests::{pool, quick, servers, states};
use tokio::time::timeout;

#[tokio::test]
async fn pool_is_used_as_the_drivers() {
    let servers = servers(1).await;
    let pool = pool(&servers, quick());
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TABLE test.t (id INT PRIMARY KEY, name TEXT)")
        .await
        .unwrap();
    conn.exec_batch("INSERT INTO test.t VALUES (?, ?)", [(1, "ann"), (2, "bob")])
        .await
        .unwrap();
    let statement = conn
        .prep("SELECT name FROM test.t WHERE id = ?")
        .await
        .unwrap();
    let name: Option<String> = conn.exec_first(&statement, (2,)).await.unwrap();
    assert_eq!(name.as_deref(), Some("bob"));
    conn.close(statement).await.unwrap();
    conn.ping().await.unwrap();
    let ids: Vec<u32> = "SELECT id FROM test.t ORDER BY id"
        .fetch(&mut conn)
        .await
        .unwrap();
    assert_eq!(ids, [1, 2]);
    let one: Option<u32> = "SELECT ?".with((1,)).first(&mut conn).await.unwrap();
    assert_eq!(one, Some(1));

    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction.query_drop("DELETE FROM test.t").await.unwrap();
    transaction.rollback().await.unwrap();
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction
        .query_drop("INSERT INTO test.t VALUES (3, 'cyd')")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let count: Option<u32> = conn
        .query_first("SELECT COUNT(*) FROM test.t")
        .await
        .unwrap();
    assert_eq!(count, Some(3));
    assert!(
        conn.server_version() > (5, 0, 0),
        "it dereferences for reading"
    );

    let error = conn.query_drop("SELECT FROM nowhere").await.unwrap_err();
    assert!(
        matches!(error, Error::Server(ref e) if e.code == 1064),
        "{error}"
    );
    conn.ping().await.unwrap();
    assert_eq!(
        states(&pool),
        [State::Up],
        "the caller's mistake is not the peer's"
    );
    drop(conn);
    pool.disconnect().await.unwrap();
}

/// The driver alone would answer the second query with the first one's rows.
#[tokio::test]
async fn cancelled_query_retires_the_connection() {
    let servers = servers(1).await;
    let pool = pool(&servers, quick());
    let mut conn = pool.get_conn().await.unwrap();
    let id = conn.id();
    let slow = conn.query_first::<u32, _>("SELECT 41 + SLEEP(0.5)");
    assert!(timeout(Duration::from_millis(50), slow).await.is_err());
    let error = conn.query_first::<u32, _>("SELECT 42").await.unwrap_err();
    assert!(
        matches!(error, Error::Driver(DriverError::ConnectionClosed)),
        "{error}"
    );
    let error = "SELECT 42".first::<u32, _>(&mut conn).await.unwrap_err();
    assert!(
        matches!(error, Error::Driver(DriverError::ConnectionClosed)),
        "{error}"
    );
    drop(conn);

    let mut next = pool.get_conn().await.unwrap();
    assert_ne!(next.id(), id);
    assert_eq!(next.query_first("SELECT 42").await.unwrap(), Some(42_u32));
    assert_eq!(
        states(&pool),
        [State::Up],
        "a cancelled query says nothing of the peer"
    );
}

#[tokio::test]
async fn returned_connection_is_reset() {
    let servers = servers(1).await;
    let pool = one_connection(&servers[0].url());
    let mut conn = pool.get_conn().await.unwrap();
    let id = conn.id();
    conn.query_drop("SET @left = 1").await.unwrap();
    conn.query_drop("CREATE TABLE test.t (id INT) ENGINE=InnoDB")
        .await
        .unwrap();
    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction
        .query_drop("INSERT INTO test.t VALUES (1)")
        .await
        .unwrap();
    drop(transaction);
    drop(conn);

    let mut conn = pool.get_conn().await.unwrap();
    assert_eq!(conn.id(), id, "the same session");
    assert_eq!(
        conn.query_first("SELECT @left").await.unwrap(),
        Some(Value::NULL)
    );
    let rows: Option<u32> = conn
        .query_first("SELECT COUNT(*) FROM test.t")
        .await
        .unwrap();
    assert_eq!(rows, Some(0), "an unfinished transaction is rolled back");
}

#[tokio::test]
async fn checkouts_stay_within_the_limit() {
    let servers = servers(1).await;
    let pool = one_connection(&servers[0].url());
    let first = pool.get_conn().await.unwrap();
    assert!(
        timeout(Duration::from_millis(100), pool.get_conn())
            .await
            .is_err()
    );
    drop(first);
    drop(pool.get_conn().await.unwrap());
}

#[tokio::test]
async fn killed_session_costs_only_its_work() {
    let servers = servers(1).await;
    let pool = pool(&servers, quick());
    let mut victim = pool.get_conn().await.unwrap();
    let mut killer = pool.get_conn().await.unwrap();
    for _ in 0..10 {
        killer
            .query_drop(format!("KILL {}", victim.id()))
            .await
            .unwrap();
        victim.query_drop("SELECT 1").await.unwrap_err();
        victim = pool.get_conn().await.unwrap();
        victim.ping().await.unwrap();
    }
    assert_eq!(states(&pool), [State::Up]);
}

#[tokio::test]
async fn disconnected_pool_refuses_checkouts() {
    let servers = servers(1).await;
    let pool = pool(&servers, quick());
    pool.get_conn().await.unwrap().ping().await.unwrap();
    pool.clone().disconnect().await.unwrap();
    let error = pool.get_conn().await.unwrap_err();
    assert!(
        matches!(error, Error::Driver(DriverError::PoolDisconnected)),
        "{error}"
    );
}

fn one_connection(url: &str) -> Pool {
    Pool::new([("db0", format!("{url}?pool_min=1&pool_max=1").as_str())]).unwrap()
}
