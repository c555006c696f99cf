//! Errors that a statement gets, from MariaDB.

use std::time::Duration;

use evenhand_mysql::mysql_async::{self, TxOpts, prelude::Queryable};
use evenhand_mysql::{PeerConn, Pool};
use evenhand_testkit::{Maker, MariaDb};
use tokio::time::timeout;

use crate::common::setup::{
    add_app, code, conn_to, ejection, is_kept, is_up, patient, pool_of, root, servers,
    until_asleep, until_gone, urls,
};
use crate::common::{soon, until, up};

/// MySQL only gives a plain `SLEEP(20)` a result where it is stopped.
const SLEEP: &str = "SELECT 1 FROM (SELECT 1 AS n UNION SELECT 2) AS t WHERE SLEEP(20)";

async fn one() -> (Vec<MariaDb>, Pool) {
    let servers = servers(1, MariaDb::builder()).await;
    let pool = pool_of(&urls(&servers), patient());
    (servers, pool)
}

/// Rows: stopped, other (MariaDB)
#[tokio::test]
async fn stopped_or_wrong_statement_keeps_connection() {
    let (servers, pool) = one().await;
    let mut conn = pool.get_conn().await.unwrap();
    let (slow, stopped) = match servers[0].maker() {
        Maker::MariaDb => (
            "SET STATEMENT max_statement_time = 0.1 FOR SELECT SLEEP(20)",
            1969,
        ),
        Maker::MySql => (
            "SELECT /*+ MAX_EXECUTION_TIME(100) */ COUNT(*) FROM information_schema.columns a, \
             information_schema.columns b, information_schema.columns c",
            3024,
        ),
    };
    let error = conn.query_drop(slow).await.unwrap_err();
    assert_eq!(code(&error), Some(stopped), "{error}");
    let error = conn.query_drop("SELECT FROM").await.unwrap_err();
    assert_eq!(code(&error), Some(1064), "{error}");

    let mut operator = pool.get_conn().await.unwrap();
    let id = conn.id();
    let query = conn.query_drop(SLEEP);
    let kill = async {
        until_asleep(&mut operator).await;
        operator
            .query_drop(format!("KILL QUERY {id}"))
            .await
            .unwrap();
    };
    let (outcome, ()) = tokio::join!(query, kill);
    assert_eq!(code(&outcome.unwrap_err()), Some(1317));
    drop(operator);
    assert!(is_kept(&pool, &servers[0].url(), conn).await);
    assert_eq!(up(&pool), 1);
}

/// Rows: restart-transaction (MariaDB)
#[tokio::test]
async fn deadlock_or_lock_timeout_keeps_connection() {
    let (servers, pool) = one().await;
    let mut one = pool.get_conn().await.unwrap();
    let mut other = pool.get_conn().await.unwrap();
    for statement in [
        "CREATE TABLE t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB",
        "INSERT INTO t VALUES (1, 0), (2, 0)",
        "BEGIN",
        "UPDATE t SET n = 1 WHERE id = 1",
    ] {
        one.query_drop(statement).await.unwrap();
    }
    for statement in [
        "SET innodb_lock_wait_timeout = 1",
        "BEGIN",
        "UPDATE t SET n = 2 WHERE id = 2",
    ] {
        other.query_drop(statement).await.unwrap();
    }
    let timed_out = other.query_drop("UPDATE t SET n = 2 WHERE id = 1").await;
    assert_eq!(code(&timed_out.unwrap_err()), Some(1205));

    let outcomes = tokio::join!(
        one.query_drop("UPDATE t SET n = 1 WHERE id = 2"),
        other.query_drop("UPDATE t SET n = 2 WHERE id = 1"),
    );
    let errors: Vec<_> = [outcomes.0, outcomes.1]
        .into_iter()
        .filter_map(Result::err)
        .map(|error| code(&error))
        .collect();
    assert_eq!(errors, [Some(1213)], "one of them is the victim");
    drop(other);
    assert!(is_kept(&pool, &servers[0].url(), one).await);
    assert_eq!(up(&pool), 1);
}

/// Rows: read-only-transaction, caller (MariaDB)
#[tokio::test]
async fn callers_error_ejects_no_peer() {
    use mysql_async::DriverError::{MixedParams, StmtParamsMismatch};
    use mysql_async::Error;

    let (servers, pool) = one().await;
    let mut events = pool.subscribe();
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT) ENGINE=InnoDB")
        .await
        .unwrap();
    conn.query_drop("START TRANSACTION READ ONLY")
        .await
        .unwrap();
    let error = conn.query_drop("INSERT INTO t VALUES (1)").await;
    assert_eq!(code(&error.unwrap_err()), Some(1792));
    conn.query_drop("COMMIT").await.unwrap();
    let mixed = conn.exec_drop("SELECT ?, :name", (1,)).await.unwrap_err();
    assert!(matches!(mixed, Error::Driver(MixedParams)), "{mixed}");
    assert!(is_kept(&pool, &servers[0].url(), conn).await);

    // For this one the driver closes the connection.
    let mut conn = pool.get_conn().await.unwrap();
    let mismatch = conn.exec_drop("SELECT ?", (1, 2)).await.unwrap_err();
    assert!(matches!(mismatch, Error::Driver(StmtParamsMismatch { .. })));
    assert!(!is_kept(&pool, &servers[0].url(), conn).await);
    // And yet it is no lost connection: idempotent work is not tried elsewhere for it.
    let work = async |mut conn: PeerConn| conn.exec_drop("SELECT ?", (1, 2)).await;
    let mismatch = pool.run_idempotent(work).await.unwrap_err();
    assert!(matches!(mismatch, Error::Driver(StmtParamsMismatch { .. })));
    assert_eq!(events.try_next().unwrap(), None);
}

/// Rows: packet-too-large, own-packet-too-large (MariaDB)
#[tokio::test]
async fn oversized_packet_costs_only_the_connection() {
    let servers = servers(1, MariaDb::builder().arg("--max-allowed-packet=16384")).await;
    let large = format!("DO LENGTH('{}')", "x".repeat(100_000));
    // The driver takes the limit from the server, or is told another one.
    let told = format!("{}?max_allowed_packet=1000000", servers[0].url());
    for (url, by_server) in [(servers[0].url(), false), (told, true)] {
        let pool = pool_of(&[url], patient());
        let mut events = pool.subscribe();
        for _ in 0..6 {
            let mut conn = pool.get_conn().await.unwrap();
            let error = conn.query_drop(large.as_str()).await.unwrap_err();
            assert_eq!(code(&error) == Some(1153), by_server, "{error}");
            assert!(error.to_string().contains("max_allowed_packet"), "{error}");
            assert!(!is_kept(&pool, &servers[0].url(), conn).await);
        }
        // Not even idempotent work is tried elsewhere.
        let work = async |mut conn: PeerConn| conn.query_drop(large.as_str()).await;
        let error = pool.run_idempotent(work).await.unwrap_err();
        assert_eq!(code(&error) == Some(1153), by_server, "{error}");
        assert!(!matches!(error, mysql_async::Error::Other(_)), "{error}");
        assert_eq!(events.try_next().unwrap(), None);
    }
}

/// Rows: lost (MariaDB)
#[tokio::test]
async fn killed_or_idle_session_is_lost() {
    let servers = servers(1, MariaDb::builder()).await;
    let pool = pool_of(&urls(&servers), patient());
    let mut operator = root(&servers[0].url()).await;
    for kill in [true, false] {
        let mut conn = pool.get_conn().await.unwrap();
        let id = conn.id();
        if kill {
            operator.query_drop(format!("KILL {id}")).await.unwrap();
        } else {
            conn.query_drop("SET wait_timeout = 1").await.unwrap();
        }
        until_gone(&mut operator, id).await;
        let error = conn.query_drop("DO 1").await.unwrap_err();
        // Not 1927, nor any other server error: the connection just ends.
        assert!(
            matches!(error, mysql_async::Error::Io(_)),
            "{kill}: {error}"
        );
        drop(conn);
        pool.get_conn()
            .await
            .unwrap()
            .query_drop("DO 1")
            .await
            .unwrap();
        assert_eq!(up(&pool), 1);
    }
}

/// Rows: lost (MariaDB)
#[tokio::test]
async fn shut_down_server_is_found_by_a_check() {
    let mut servers = servers(2, MariaDb::builder()).await;
    let pool = pool_of(&urls(&servers), patient());
    let mut conn = conn_to(&pool, "a").await;
    let query = tokio::spawn(async move { conn.query_drop(SLEEP).await });
    let mut operator = root(&servers[0].url()).await;
    until_asleep(&mut operator).await;
    let mut server = servers.remove(0);
    let stop = tokio::task::spawn_blocking(move || server.stop().map(|()| server));
    let error = query.await.unwrap().unwrap_err();
    // SIGTERM: on MariaDB the connection just ends.
    match servers[0].maker() {
        Maker::MariaDb => assert!(matches!(error, mysql_async::Error::Io(_)), "{error}"),
        Maker::MySql => assert_eq!(code(&error), Some(1053), "{error}"),
    }
    until("the check found nothing there", || !is_up(&pool, 0)).await;
    let work = async |mut conn: PeerConn| conn.query_first::<u8, _>("SELECT 1").await;
    assert_eq!(pool.run_idempotent(work).await.unwrap(), Some(1));
    let _server = stop.await.unwrap().unwrap();
}

/// Rows: own-deadline (MariaDB)
#[tokio::test]
async fn dropped_statement_costs_only_the_connection() {
    let (servers, pool) = one().await;
    let mut events = pool.subscribe();
    let mut conn = pool.get_conn().await.unwrap();
    let slow = conn.query_drop("SELECT SLEEP(20)");
    timeout(Duration::from_millis(100), slow).await.unwrap_err();
    assert!(!is_kept(&pool, &servers[0].url(), conn).await);
    assert_eq!(events.try_next().unwrap(), None);
}

/// Rows: read-only-option (MariaDB)
#[tokio::test]
async fn read_only_server_is_ejected_when_writable() {
    let servers = servers(2, MariaDb::builder()).await;
    let urls = add_app(&servers).await;
    let mut operator = root(&servers[0].url()).await;
    for server in &servers {
        let mut root = root(&server.url()).await;
        root.query_drop("CREATE TABLE t (id INT) ENGINE=InnoDB")
            .await
            .unwrap();
    }
    let write = async |mut conn: PeerConn| conn.query_drop("REPLACE INTO t VALUES (1)").await;

    // As a replica would be: it does its job, and idempotent work finds a writer.
    operator
        .query_drop("SET GLOBAL read_only = 1")
        .await
        .unwrap();
    let pool = pool_of(&urls, patient());
    let mut refused = conn_to(&pool, "a").await;
    let error = write_by(&mut refused).await.unwrap_err();
    assert_eq!(code(&error), Some(1290), "{error}");
    assert!(!is_kept(&pool, &servers[0].url(), refused).await);
    for _ in 0..10 {
        pool.run_idempotent(write).await.unwrap();
    }
    assert_eq!(up(&pool), 2);

    let pool = pool_of(&urls, patient().writable(true));
    let mut events = pool.subscribe();
    for _ in 0..50 {
        pool.run_idempotent(write).await.unwrap();
        if !is_up(&pool, 0) {
            break;
        }
    }
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!((&*peer, reason), ("a", "the peer is read-only"));
    // Its probe fails as long as it is so.
    let probed = async {
        loop {
            let event = events.next().await.unwrap().unwrap().to_string();
            if event.contains("failed its probe") {
                return event;
            }
        }
    };
    let event = timeout(Duration::from_secs(10), probed).await.unwrap();
    assert!(event.contains("the peer is read-only"), "{event}");
    operator
        .query_drop("SET GLOBAL read_only = 0")
        .await
        .unwrap();
    until("it is back", || up(&pool) == 2).await;
    let mut transaction_too = conn_to(&pool, "a").await;
    let transaction = transaction_too.start_transaction(TxOpts::default()).await;
    transaction.unwrap().rollback().await.unwrap();
}

/// Rows: user-limit-in-statement (MariaDB)
#[tokio::test]
async fn users_limit_on_one_server_sends_work_to_another() {
    let servers = servers(2, MariaDb::builder()).await;
    let urls = add_app(&servers).await;
    let mut operator = root(&servers[0].url()).await;
    let limit = "ALTER USER app@'127.0.0.1' WITH MAX_QUERIES_PER_HOUR 20";
    operator.query_drop(limit).await.unwrap();
    let pool = pool_of(&urls, patient());
    let mut conn = conn_to(&pool, "a").await;
    let refused = loop {
        if let Err(error) = conn.query_drop("DO 1").await {
            break error;
        }
    };
    assert_eq!(code(&refused), Some(1226), "{refused}");
    assert!(!is_kept(&pool, &servers[0].url(), conn).await);
    for _ in 0..10 {
        let work = async |mut conn: PeerConn| conn.query_drop("DO 1").await;
        pool.run_idempotent(work).await.unwrap();
    }
    assert!(is_up(&pool, 1));
}

/// 1792 is also what a transaction gets that its caller began as read-only. A check tells.
///
/// Rows: read-only-transaction (MariaDB)
#[tokio::test]
async fn server_of_read_only_transactions_is_ejected_by_a_check() {
    let servers = servers(2, MariaDb::builder()).await;
    let mut operator = root(&servers[0].url()).await;
    for server in &servers {
        let mut root = root(&server.url()).await;
        let table = "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB";
        root.query_drop(table).await.unwrap();
    }
    let pool = pool_of(&urls(&servers), patient().writable(true));
    let mut events = pool.subscribe();
    let logins = "SHOW GLOBAL STATUS LIKE 'Connections'";
    let mut conn = conn_to(&pool, "a").await;
    let (_, before): (String, u64) = operator.query_first(logins).await.unwrap().unwrap();
    let mut own = TxOpts::default();
    own.with_readonly(true);
    let mut transaction = conn.start_transaction(own).await.unwrap();
    let error = transaction.query_drop("REPLACE INTO t VALUES (1)").await;
    assert_eq!(code(&error.unwrap_err()), Some(1792));
    transaction.rollback().await.unwrap();
    let checked = async {
        while operator
            .query_first::<(String, u64), _>(logins)
            .await
            .unwrap()
            .unwrap()
            .1
            == before
        {}
    };
    soon(checked).await;
    drop(conn);
    // The check has its outcome when another one has been.
    until("all are returned", || pool.usage().in_use == 0).await;
    pool.check(crate::common::setup::LIMIT).await;
    assert_eq!(events.try_next().unwrap(), None, "the caller's own mistake");

    operator
        .query_drop("SET GLOBAL TRANSACTION READ ONLY")
        .await
        .unwrap();
    // Sessions of before are read-only once they have been reset.
    let found = async {
        while is_up(&pool, 0) {
            let _ = write_by(&mut pool.get_conn().await.unwrap()).await;
        }
    };
    soon(found).await;
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!((&*peer, reason), ("a", "the peer is read-only"));
    write_by(&mut pool.get_conn().await.unwrap()).await.unwrap();
    operator
        .query_drop("SET GLOBAL TRANSACTION READ WRITE")
        .await
        .unwrap();
    until("it is back", || up(&pool) == 2).await;
}

async fn write_by(conn: &mut PeerConn) -> mysql_async::Result<()> {
    conn.query_drop("REPLACE INTO t VALUES (1)").await
}
