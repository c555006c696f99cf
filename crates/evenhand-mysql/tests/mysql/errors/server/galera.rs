//! Errors that only a cluster makes, from Galera.

use evenhand_mysql::PeerConn;
use evenhand_mysql::mysql_async::{self, Opts, OptsBuilder, TxOpts, prelude::Queryable};
use evenhand_testkit::{Galera, Maker};

use crate::common::setup::{
    a_goes_out, code, conn_to, ejection, failed_probe, is_kept, is_up, once_is_enough, patient,
    pool_of, root,
};
use crate::common::{until, up};

const NOT_READY: &str = "Galera node not ready";
const READ: &str = "SELECT COUNT(*) FROM t";

/// Three nodes, with a table that has one row.
async fn cluster() -> Galera {
    let started = tokio::task::spawn_blocking(|| Galera::start(3)).await;
    // The error says how to install what is missing.
    let cluster = started.unwrap().unwrap_or_else(|error| panic!("{error}"));
    let mut operator = root(&cluster[0].url()).await;
    for statement in [
        "CREATE TABLE t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB",
        "INSERT INTO t VALUES (1, 0)",
    ] {
        operator.query_drop(statement).await.unwrap();
    }
    for node in cluster.nodes() {
        let mut conn = root(&node.url()).await;
        conn.query_drop("SET wsrep_sync_wait = 1").await.unwrap();
        conn.query_drop(READ).await.unwrap();
    }
    cluster
}

/// The nodes are told to refuse work, which they say in the code of an unknown command.
///
/// Rows: galera, connect-galera (Galera)
#[tokio::test]
async fn refusing_node_is_ejected_until_ready() {
    if !Maker::MariaDb.only("Galera") {
        return;
    }
    let cluster = cluster().await;
    let pool = pool_of(&cluster.urls(), patient());
    let mut events = pool.subscribe();
    let mut conn = conn_to(&pool, "a").await;
    cluster[0].reject_queries(true).unwrap();
    // All that is commonly asked to find out whether a server is well.
    conn.ping().await.unwrap();
    assert_eq!(conn.query_first("SELECT 1").await.unwrap(), Some(1));
    assert_eq!(up(&pool), 3);
    let error = conn.query_drop(READ).await.unwrap_err();
    assert_eq!(code(&error), Some(1047), "{error}");
    assert!(error.to_string().contains("WSREP has not yet"), "{error}");
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!((&*peer, reason), ("a", NOT_READY));
    assert_eq!(failed_probe(&mut events).await, NOT_READY);
    cluster[0].reject_queries(false).unwrap();
    until("it is back", || up(&pool) == 3).await;

    // Nothing was done there: idempotent work goes to another one, and no caller notices.
    cluster[0].reject_queries(true).unwrap();
    let pool = pool_of(&cluster.urls(), patient());
    let mut events = pool.subscribe();
    let read = async |mut conn: PeerConn| conn.query_first::<u64, _>(READ).await;
    for _ in 0..100 {
        assert_eq!(pool.run_idempotent(read).await.unwrap(), Some(1));
        if !is_up(&pool, 0) {
            break;
        }
    }
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!((&*peer, reason, up(&pool)), ("a", NOT_READY, 2));

    // And so it is where the session's own first statement is refused.
    let peer = |node: usize| {
        let opts = Opts::from_url(&cluster[node].url()).unwrap();
        OptsBuilder::from_opts(opts).init(vec![READ])
    };
    once_is_enough(patient().open([("a", peer(0))]).unwrap()).await;
    let peers = ["a", "b", "c"].into_iter().zip([peer(0), peer(1), peer(2)]);
    let pool = patient().open(peers).unwrap();
    assert_eq!(a_goes_out(&pool).await.0, NOT_READY);
    cluster[0].reject_queries(false).unwrap();
    until("it is back", || up(&pool) == 3).await;
}

/// Rows: restart-transaction, quorum-lost, lost (Galera)
#[tokio::test]
async fn conflicting_and_quorumless_commits_fail() {
    if !Maker::MariaDb.only("Galera") {
        return;
    }
    let mut cluster = cluster().await;
    let pool = pool_of(&cluster.urls(), patient());
    let mut events = pool.subscribe();

    // Two change the same row on two nodes: the second one learns of it at its COMMIT.
    let mut first = conn_to(&pool, "a").await;
    let mut second = conn_to(&pool, "b").await;
    let change = "UPDATE t SET n = n + 1 WHERE id = 1";
    let mut one = first.start_transaction(TxOpts::default()).await.unwrap();
    let mut other = second.start_transaction(TxOpts::default()).await.unwrap();
    one.query_drop(change).await.unwrap();
    other.query_drop(change).await.unwrap();
    one.commit().await.unwrap();
    let error = other.commit().await.unwrap_err();
    assert_eq!(code(&error), Some(1213), "{error}");
    assert!(is_kept(&pool, &cluster[1].url(), second).await);
    assert_eq!(events.try_next().unwrap(), None);

    // A node is cut off from the others, and has not noticed yet when the COMMIT comes. It does
    // within two seconds; on a machine that was busy elsewhere so long, once more.
    let mut codes = Vec::new();
    while codes.last() != Some(&Some(1180)) {
        assert!(codes.len() < 5, "{codes:?}");
        let mut conn = conn_to(&pool, "a").await;
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(change).await.unwrap();
        cluster[0]
            .execute("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")
            .unwrap();
        codes.push(code(&conn.query_drop("COMMIT").await.unwrap_err()));
        // What 1180 says of the node, the check finds out.
        until("the check found it", || !is_up(&pool, 0)).await;
        let (peer, reason, _) = ejection(&mut events).unwrap();
        assert_eq!((&*peer, reason), ("a", NOT_READY));
        cluster[0].rejoin().unwrap();
        until("it is back", || up(&pool) == 3).await;
    }

    let mut conn = conn_to(&pool, "c").await;
    cluster[2].kill().unwrap();
    let error = conn.query_drop("SELECT 1").await.unwrap_err();
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error}");
    until("the check found nothing there", || !is_up(&pool, 2)).await;
    let (peer, reason, _) = ejection(&mut events).unwrap();
    assert_eq!((&*peer, reason), ("c", "connection refused"));
}
