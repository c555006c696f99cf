//! Connections of a healthy double, seen by mysql_async: logins, pools, transactions, counters.

use std::time::{Duration, Instant};

use crate::common::{soon, until};
use evenhand_testkit::FakeMySql;
use mysql_async::prelude::*;
use mysql_async::{ChangeUserOpts, Conn, Error, Opts, Pool, TxOpts};

async fn connect(fake: &FakeMySql) -> Conn {
    soon(Conn::from_url(fake.url())).await.unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("no error of the server's: {other:?}"),
    }
}

#[tokio::test]
async fn transactions_commit_and_roll_back() {
    const IN_TRANSACTION: u16 = 1;
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    let mut tx = conn.start_transaction(TxOpts::default()).await.unwrap();
    tx.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    let bits = tx.last_ok_packet().unwrap().status_flags().bits();
    assert_eq!(bits & IN_TRANSACTION, IN_TRANSACTION);
    assert_eq!(tx.query_first("SELECT 1").await.unwrap(), Some(1));
    let bits = tx.last_ok_packet().unwrap().status_flags().bits();
    assert_eq!(bits & IN_TRANSACTION, IN_TRANSACTION, "also where rows end");
    tx.commit().await.unwrap();
    let bits = conn.last_ok_packet().unwrap().status_flags().bits();
    assert_eq!(bits & IN_TRANSACTION, 0);

    let mut options = TxOpts::default();
    options
        .with_readonly(true)
        .with_consistent_snapshot(true)
        .with_isolation_level(mysql_async::IsolationLevel::Serializable);
    let tx = conn.start_transaction(options).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(
        fake.statements(),
        [
            "START TRANSACTION",
            "INSERT INTO t VALUES (1)",
            "SELECT 1",
            "COMMIT",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "SET TRANSACTION READ ONLY",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT",
            "ROLLBACK",
        ]
    );
}

#[tokio::test]
async fn ping_reset_and_change_user_work() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    conn.ping().await.unwrap();
    conn.query_drop("SET @x = 7").await.unwrap();
    assert_eq!(conn.query_first("SELECT @x").await.unwrap(), Some(7));
    assert!(conn.reset().await.unwrap());
    assert_eq!(
        conn.query_first("SELECT @x").await.unwrap(),
        Some(None::<u8>)
    );
    conn.query_drop("SET @x = 7").await.unwrap();
    conn.change_user(ChangeUserOpts::default()).await.unwrap();
    assert_eq!(
        conn.query_first("SELECT @x").await.unwrap(),
        Some(None::<u8>)
    );
    assert_eq!(fake.logins(), 2);
    assert_eq!(conn.exec_first("SELECT ?", (1,)).await.unwrap(), Some(1));
}

#[tokio::test]
async fn pool_reuses_a_reset_connection() {
    let fake = FakeMySql::start().await.unwrap();
    // One connection that is kept: the next checkout waits until it is returned.
    let pool = Pool::new((fake.url() + "?pool_min=1&pool_max=1").as_str());
    for _ in 0..3 {
        let mut conn = soon(pool.get_conn()).await.unwrap();
        assert_eq!(
            conn.query_first("SELECT @x").await.unwrap(),
            Some(None::<u8>)
        );
        conn.query_drop("SET @x = 1").await.unwrap();
    }
    assert_eq!(fake.logins(), 1);
    let tx = pool.start_transaction(TxOpts::default()).await.unwrap();
    drop(tx);
    soon(pool.disconnect()).await.unwrap();
    assert!(fake.statements().contains(&"ROLLBACK".to_owned()));
    until("all are closed", || fake.connections() == 0).await;
}

#[tokio::test]
async fn only_the_given_account_may_log_in() {
    let fake = FakeMySql::builder()
        .account("app", "secret")
        .start()
        .await
        .unwrap();
    let mut conn = connect(&fake).await;
    conn.change_user(ChangeUserOpts::default()).await.unwrap();
    assert_eq!(
        conn.query_first("SELECT USER()").await.unwrap(),
        Some("app@127.0.0.1".to_owned())
    );
    for login in ["app:wrong", "app", "root:secret"] {
        let url = format!("mysql://{login}@{}/", fake.addr());
        assert_eq!(code(soon(Conn::from_url(url)).await), 1045, "{login}");
    }
    assert_eq!(fake.logins(), 2);

    let wrong = ChangeUserOpts::new().with_pass(Some("wrong".to_owned()));
    assert_eq!(code(soon(conn.change_user(wrong)).await), 1045);

    let fake = FakeMySql::builder()
        .account("app", "")
        .start()
        .await
        .unwrap();
    connect(&fake).await;
}

#[tokio::test]
async fn clients_that_want_eof_packets_get_them() {
    let fake = FakeMySql::builder()
        .deprecate_eof(false)
        .start()
        .await
        .unwrap();
    fake.answer("SELECT a FROM t", ["a", "b"], [[1, 2], [3, 4]]);
    let mut conn = connect(&fake).await;
    for _ in 0..2 {
        assert_eq!(
            conn.query::<(u8, u8), _>("SELECT a FROM t").await.unwrap(),
            [(1, 2), (3, 4)]
        );
        assert_eq!(
            conn.exec::<(u8, u8), _, _>("SELECT a FROM t", ())
                .await
                .unwrap(),
            [(1, 2), (3, 4)]
        );
        assert_eq!(
            conn.exec_first("SELECT ?, ?", (1, "a")).await.unwrap(),
            Some((1, "a".to_owned()))
        );
        conn.exec_drop("INSERT INTO t VALUES (?)", (1,))
            .await
            .unwrap();
        conn.ping().await.unwrap();
        conn.reset().await.unwrap();
    }
}

#[tokio::test]
async fn settings_query_is_not_counted() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    assert_eq!((fake.accepted(), fake.logins(), fake.queries()), (1, 1, 0));
    assert_eq!(fake.connections(), 1);
    conn.query_drop("SELECT @@max_allowed_packet,@@wait_timeout")
        .await
        .unwrap();
    conn.exec_drop("SELECT ?", (1,)).await.unwrap();
    assert_eq!(fake.queries(), 2);
    assert_eq!(
        fake.statements(),
        ["SELECT @@max_allowed_packet,@@wait_timeout", "SELECT ?"]
    );
    conn.disconnect().await.unwrap();
    until("closed", || fake.connections() == 0).await;

    let opts =
        Opts::from_url(&(fake.url() + "?prefer_socket=false&max_allowed_packet=1024")).unwrap();
    let _conn = soon(Conn::new(opts)).await.unwrap();
    assert_eq!(fake.queries(), 2);
}

#[tokio::test]
async fn delay_applies_to_every_reply() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await;
    fake.set_delay(Duration::from_millis(40));
    let begun = Instant::now();
    conn.ping().await.unwrap();
    conn.query_drop("SELECT 1").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(80));
    fake.set_delay(Duration::ZERO);
    conn.ping().await.unwrap();
}

#[tokio::test]
async fn mariadb_version_is_recognised() {
    let version = "5.5.5-10.11.6-MariaDB-fake";
    let fake = FakeMySql::builder().version(version).start().await.unwrap();
    let mut conn = connect(&fake).await;
    assert_eq!(conn.server_version(), (10, 11, 6));
    assert!(conn.reset().await.unwrap());
    assert_eq!(
        conn.exec_first("SELECT VERSION()", ()).await.unwrap(),
        Some(version.to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_connections_get_all_replies() {
    const CONNECTIONS: usize = 50;
    const QUERIES: usize = 400;
    let fake = FakeMySql::start().await.unwrap();
    let begun = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let url = fake.url();
        clients.spawn(async move {
            let mut conn = Conn::from_url(url).await.unwrap();
            let id = conn.id();
            for n in 0..QUERIES / 2 {
                assert_eq!(
                    conn.query_first("SELECT CONNECTION_ID()").await.unwrap(),
                    Some(id)
                );
                assert_eq!(conn.exec_first("SELECT ?", (n,)).await.unwrap(), Some(n));
            }
        });
    }
    soon(clients.join_all()).await;
    assert_eq!(fake.queries(), (CONNECTIONS * QUERIES) as u64);
    assert_eq!(fake.statements().len(), 10_000);
    println!(
        "{:.0} queries/s",
        fake.queries() as f64 / begun.elapsed().as_secs_f64()
    );
}
