//! A `COMMIT` whose answer is lost says so, and is not done again.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{LIMIT, err, fakes, pool, quick, soon, until, up};
use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_mysql::mysql_async::{self, TxOpts};
use evenhand_mysql::{Error, Pool};
use evenhand_testkit::{Direction, Fault, FaultProxy, MariaDb};
use tokio::time::Instant;

const INSERT: &str = "INSERT INTO t VALUES (1)";

/// A real server behind a proxy, a table on it, and a pool over the proxy.
async fn stage() -> (MariaDb, FaultProxy, Pool) {
    let started = tokio::task::spawn_blocking(MariaDb::start).await;
    // The error says how to install what is missing.
    let server = started
        .unwrap()
        .unwrap_or_else(|error| unreachable!("{error}"));
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let pool = over(&proxy);
    "CREATE TABLE t (id INT) ENGINE=InnoDB"
        .ignore(&pool)
        .await
        .unwrap();
    (server, proxy, pool)
}

fn over(proxy: &FaultProxy) -> Pool {
    let url = format!("{}?pool_min=0", proxy.url());
    quick().open([("db0", &*url)]).unwrap()
}

async fn rows(server: &MariaDb) -> usize {
    let pool = Pool::from_url(server.url()).unwrap();
    let rows: Vec<u32> = "SELECT id FROM t".fetch(&pool).await.unwrap();
    rows.len()
}

fn assert_unknown(error: &mysql_async::Error) {
    let Some(Error::OutcomeUnknown { peer, source, .. }) = Error::find(error) else {
        unreachable!("{error:?}")
    };
    assert_eq!(&**peer, "db0");
    let source: Option<&mysql_async::Error> = source.downcast_ref();
    assert!(
        matches!(source, Some(mysql_async::Error::Io(_))),
        "{source:?}"
    );
}

#[tokio::test]
async fn lost_reply_leaves_the_outcome_unknown() {
    let (server, proxy, pool) = stage().await;
    for way in 1..=3 {
        let error = match way {
            1 => {
                let mut owned = pool.start_transaction(TxOpts::default()).await.unwrap();
                owned.query_drop(INSERT).await.unwrap();
                proxy.cut_after(Direction::ToClient, 0);
                owned.commit().await.unwrap_err()
            }
            2 => {
                let mut conn = pool.get_conn().await.unwrap();
                let mut borrowed = conn.start_transaction(TxOpts::default()).await.unwrap();
                borrowed.query_drop(INSERT).await.unwrap();
                proxy.cut_after(Direction::ToClient, 0);
                borrowed.commit().await.unwrap_err()
            }
            _ => {
                let mut conn = pool.get_conn().await.unwrap();
                conn.query_drop("BEGIN").await.unwrap();
                conn.query_drop(INSERT).await.unwrap();
                proxy.cut_after(Direction::ToClient, 0);
                conn.query_drop(" commit ; ").await.unwrap_err()
            }
        };
        proxy.cut_none();
        assert_unknown(&error);
        // The reply was cut, not the statement.
        assert_eq!(rows(&server).await, way);
        until("it is up", || up(&pool) == 1).await;
    }
}

#[tokio::test]
async fn lost_commit_is_not_retried() {
    let (server, proxy, pool) = stage().await;
    let tries = AtomicUsize::new(0);
    let outcome: mysql_async::Result<()> = pool
        .transaction(TxOpts::default(), async |mut tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            tx.query_drop(INSERT).await?;
            proxy.cut_after(Direction::ToClient, 0);
            Ok(())
        })
        .await;
    proxy.cut_none();
    assert_unknown(&outcome.unwrap_err());
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    assert_eq!(rows(&server).await, 1);

    // Nor by those who do idempotent work again. The check that the loss set off is another pool's.
    let pool = over(&proxy);
    let outcome: mysql_async::Result<()> = pool
        .run_idempotent(async |mut conn| {
            tries.fetch_add(1, Ordering::Relaxed);
            conn.query_drop(INSERT).await?;
            proxy.cut_after(Direction::ToClient, 0);
            conn.query_drop("COMMIT").await
        })
        .await;
    assert_unknown(&outcome.unwrap_err());
    assert_eq!(tries.into_inner(), 2);
}

/// The server has answered, so the outcome is what it says.
#[tokio::test]
async fn server_error_is_returned_unchanged() {
    for code in [1180, 1053, 1047] {
        let [fake] = fakes::<1>().await;
        let pool = pool(std::slice::from_ref(&fake), quick());
        fake.answer_err("COMMIT", err(code, "WSREP has not yet prepared node"));
        let tries = AtomicUsize::new(0);
        let outcome: mysql_async::Result<()> = pool
            .transaction(TxOpts::default(), async |_| {
                tries.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
            .await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, mysql_async::Error::Server(ref e) if e.code == code),
            "{error}"
        );
        assert_eq!(tries.into_inner(), 1, "{code}");
    }
}

/// The deadline is up while the answer to the `COMMIT` is waited for.
#[tokio::test]
async fn timeout_leaves_the_outcome_unknown() {
    let [fake] = fakes::<1>().await;
    let pool = pool(
        std::slice::from_ref(&fake),
        quick().work_timeout(LIMIT).end_on_lost_peer(false),
    );
    let start = Instant::now();
    let work = pool.transaction(TxOpts::default(), async |_| {
        fake.set_fault(Fault::StallInQuery);
        Ok(())
    });
    let outcome: mysql_async::Result<()> = soon(work).await;
    let (error, took) = (outcome.unwrap_err(), start.elapsed());
    assert!(
        matches!(Error::find(&error), Some(Error::OutcomeUnknown { .. })),
        "{error}"
    );
    assert!(took >= LIMIT, "{took:?}");
}
