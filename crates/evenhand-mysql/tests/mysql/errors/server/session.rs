//! Sessions that end in the middle of something, from MariaDB.

use evenhand_mysql::mysql_async::{self, TxOpts, prelude::Queryable};
use evenhand_mysql::{Error, PeerConn};
use evenhand_testkit::{Maker, MariaDb};
use tokio::time::Instant;

use crate::common::setup::{
    LIMIT, code, conn_to, ejection, is_up, patient, pool_of, root, servers, until_gone, urls,
};
use crate::common::{until, up};

/// Who is killed by another just loses the connection; who does it himself is told so.
///
/// Rows: killed (MariaDB)
#[tokio::test]
async fn session_killing_itself_ejects_no_peer() {
    let servers = servers(2, MariaDb::builder()).await;
    let pool = pool_of(&urls(&servers), patient().max_attempts(4));
    let mut events = pool.subscribe();
    for _ in 0..6 {
        let mut conn = conn_to(&pool, "a").await;
        let id = conn.id();
        let error = conn.query_drop("KILL CONNECTION_ID()").await.unwrap_err();
        let told = match servers[0].maker() {
            Maker::MariaDb => 1927,
            // As where only the statement is stopped; but then the connection ends.
            Maker::MySql => 1317,
        };
        assert_eq!(code(&error), Some(told), "{error}");
        drop(conn);
        until_gone(&mut root(&servers[0].url()).await, id).await;
    }
    if servers[0].maker() == Maker::MySql {
        assert_eq!(events.try_next().unwrap(), None);
        return;
    }
    // Idempotent work is done elsewhere, and comes back when no other is left.
    let asked = std::sync::Mutex::new(Vec::new());
    let work = async |mut conn: PeerConn| {
        asked.lock().unwrap().push(conn.peer().to_owned());
        conn.query_drop("KILL CONNECTION_ID()").await
    };
    let error = pool.run_idempotent(work).await.unwrap_err();
    assert!(
        matches!(Error::find(&error), Some(Error::Work(_))),
        "{error}"
    );
    let mut asked = asked.into_inner().unwrap();
    assert_eq!(asked.len(), 4, "{asked:?}");
    asked[..2].sort();
    assert_eq!(asked[..2], ["a", "b"]);
    assert_eq!(events.try_next().unwrap(), None);
}

/// Rows: commit-lost (MariaDB)
#[tokio::test]
async fn killed_commit_leaves_the_outcome_unknown() {
    let mut servers = servers(1, MariaDb::builder()).await;
    let url = servers[0].url();
    let mut operator = root(&url).await;
    operator
        .query_drop("CREATE TABLE t (id INT) ENGINE=InnoDB")
        .await
        .unwrap();
    for kill_server in [false, true] {
        let pool = pool_of(std::slice::from_ref(&url), patient());
        let mut events = pool.subscribe();
        let mut transaction = pool.start_transaction(TxOpts::default()).await.unwrap();
        let id = transaction.id();
        let insert = "INSERT INTO t VALUES (1)";
        transaction.query_drop(insert).await.unwrap();
        operator
            .query_drop("FLUSH TABLES WITH READ LOCK")
            .await
            .unwrap();
        let commit = tokio::spawn(transaction.commit());
        let waits = format!(
            "SELECT 1 FROM information_schema.processlist \
             WHERE id = {id} AND info = 'COMMIT' AND state LIKE 'Waiting for%lock'"
        );
        let begun = Instant::now();
        while operator
            .query_first::<u8, _>(&waits)
            .await
            .unwrap()
            .is_none()
        {
            assert!(begun.elapsed() < LIMIT, "the COMMIT does not wait");
        }
        if kill_server {
            servers[0].kill().unwrap();
        } else {
            operator.query_drop(format!("KILL {id}")).await.unwrap();
        }
        let error = commit.await.unwrap().unwrap_err();
        let Some(Error::OutcomeUnknown { peer, source, .. }) = Error::find(&error) else {
            panic!("{error:?}")
        };
        assert_eq!(&**peer, "a");
        let lost = source.downcast_ref::<mysql_async::Error>();
        assert!(matches!(lost, Some(mysql_async::Error::Io(_))), "{source}");
        if kill_server {
            until("the check found nothing there", || !is_up(&pool, 0)).await;
            let (_, reason, _) = ejection(&mut events).unwrap();
            assert_eq!(reason, "connection refused");
        } else {
            until_gone(&mut root(&url).await, id).await;
            operator.query_drop("UNLOCK TABLES").await.unwrap();
            drop(pool.get_conn().await.unwrap());
            assert_eq!((up(&pool), events.try_next().unwrap()), (1, None));
        }
    }
}
