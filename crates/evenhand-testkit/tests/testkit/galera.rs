//! A real Galera cluster, and what its nodes do to clients in each of their states.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::{soon, stalls};
use evenhand_testkit::{Galera, GaleraError, GaleraNode};
use mysql_async::prelude::*;
use mysql_async::{Conn, Error};

const LIMIT: Duration = Duration::from_secs(20);

async fn connect(node: &GaleraNode) -> Conn {
    soon(Conn::from_url(node.url())).await.unwrap()
}

async fn count(node: &GaleraNode) -> u64 {
    let mut conn = connect(node).await;
    conn.query_drop("SET wsrep_sync_wait = 1").await.unwrap();
    let count = soon(conn.query_first("SELECT COUNT(*) FROM t")).await;
    count.unwrap().unwrap()
}

async fn insert(node: &GaleraNode, value: u32) {
    let mut conn = connect(node).await;
    soon(conn.exec_drop("INSERT INTO t VALUES (?)", (value,)))
        .await
        .unwrap();
}

async fn create_table(node: &GaleraNode) {
    connect(node)
        .await
        .query_drop("CREATE TABLE t (a INT PRIMARY KEY) ENGINE=InnoDB")
        .await
        .unwrap();
}

fn size(node: &GaleraNode) -> String {
    node.status("wsrep_cluster_size").unwrap().unwrap()
}

fn state(node: &GaleraNode) -> String {
    node.status("wsrep_local_state").unwrap().unwrap()
}

#[track_caller]
fn assert_refuses_work(result: Result<(), Error>) {
    match result {
        Err(Error::Server(error)) => {
            assert_eq!((error.code, error.state.as_str()), (1047, "08S01"));
            assert!(error.message.starts_with("WSREP has not yet prepared"));
        }
        other => panic!("not refused by the server: {other:?}"),
    }
}

/// What MySQL's own ways to ask "are you there?" say of such a node, and what they miss.
async fn assert_looks_well_and_refuses_work(node: &GaleraNode, held: &mut Conn) {
    let mut new = connect(node).await;
    for conn in [&mut new, held] {
        soon(conn.ping()).await.unwrap();
        assert_eq!(soon(conn.query_first("SELECT 1")).await.unwrap(), Some(1));
        soon(conn.query_drop("SELECT @@port")).await.unwrap();
        soon(conn.query_drop("SET @a = 1")).await.unwrap();
        for statement in [
            "DO 1",
            "BEGIN",
            "SELECT a FROM t",
            "INSERT INTO t VALUES (99)",
        ] {
            assert_refuses_work(soon(conn.query_drop(statement)).await);
        }
    }
}

#[tokio::test]
async fn three_nodes_share_all_writes() {
    let cluster = Galera::start(3).unwrap();
    create_table(&cluster[0]).await;
    for (number, node) in cluster.nodes().iter().enumerate() {
        assert_eq!((size(node), state(node)), ("3".to_owned(), "4".to_owned()));
        assert_eq!(node.name(), format!("node{number}"));
        insert(node, number as u32).await;
    }
    for node in cluster.nodes() {
        assert_eq!(count(node).await, 3);
        let mut conn = connect(node).await;
        assert_eq!(
            conn.query_first("SELECT @@port").await.unwrap(),
            Some(node.port())
        );
    }
    let urls = cluster.urls();
    assert_eq!(urls.len(), 3);
    assert_eq!(urls[1], cluster[1].url());
    // No node had to send its data to another.
    for node in cluster.nodes() {
        assert_eq!(
            node.status("wsrep_local_state_comment").unwrap().as_deref(),
            Some("Synced")
        );
        assert!(!node.log().contains("SST"), "{}", node.log());
    }
}

#[tokio::test]
async fn isolated_node_refuses_work_until_it_rejoins() {
    let cluster = Galera::start(3).unwrap();
    create_table(&cluster[0]).await;
    let mut held = connect(&cluster[2]).await;
    cluster[2].isolate().unwrap();
    assert_looks_well_and_refuses_work(&cluster[2], &mut held).await;
    // The others go on.
    insert(&cluster[0], 1).await;
    assert_eq!(count(&cluster[1]).await, 1);

    cluster[2].rejoin().unwrap();
    soon(held.query_drop("DO 1")).await.unwrap();
    assert_eq!(count(&cluster[2]).await, 1);
    cluster[2].wait_synced(LIMIT).unwrap();
}

#[tokio::test]
async fn rejecting_node_stays_a_synced_member() {
    let cluster = Galera::start(1).unwrap();
    create_table(&cluster[0]).await;
    let mut held = connect(&cluster[0]).await;
    cluster[0].reject_queries(true).unwrap();
    assert_looks_well_and_refuses_work(&cluster[0], &mut held).await;
    assert_eq!(state(&cluster[0]), "4");
    assert_eq!(
        cluster[0].status("wsrep_ready").unwrap().as_deref(),
        Some("ON")
    );
    cluster[0].wait_synced(LIMIT).unwrap();
    cluster[0].reject_queries(false).unwrap();
    soon(held.query_drop("DO 1")).await.unwrap();

    // A donor's state.
    cluster[0].desync(true).unwrap();
    assert_eq!(state(&cluster[0]), "2");
    soon(held.query_drop("INSERT INTO t VALUES (1)"))
        .await
        .unwrap();
    let late = cluster[0].wait_synced(Duration::ZERO).unwrap_err();
    assert!(matches!(late, GaleraError::NotInTime { .. }), "{late:?}");
    assert!(late.to_string().contains("node0"), "{late}");
    cluster[0].desync(false).unwrap();
    assert_eq!(state(&cluster[0]), "4");
}

#[tokio::test]
async fn restarted_node_catches_up() {
    let mut cluster = Galera::start(3).unwrap();
    create_table(&cluster[0]).await;
    let addr = cluster[1].addr();
    let mut held = connect(&cluster[1]).await;

    cluster[1].stop().unwrap();
    assert_eq!(cluster[1].pid(), None);
    let refused = TcpStream::connect(addr).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert!(soon(held.query_drop("SELECT 1")).await.is_err());
    insert(&cluster[0], 1).await;
    cluster[1].restart().unwrap();
    assert_eq!(cluster[1].addr(), addr);
    assert_eq!(count(&cluster[1]).await, 1);

    cluster[1].kill().unwrap();
    insert(&cluster[0], 2).await;
    cluster[1].restart().unwrap();
    assert_eq!(count(&cluster[1]).await, 2);
    insert(&cluster[1], 3).await;
    assert_eq!(count(&cluster[2]).await, 3);
}

#[tokio::test]
async fn frozen_node_is_evicted_and_rejoins() {
    let cluster = Galera::start(3).unwrap();
    create_table(&cluster[0]).await;
    let mut held = connect(&cluster[2]).await;
    cluster[2].freeze().unwrap();
    assert!(stalls(held.query_drop("SELECT 1")).await);
    // The others hold writes until they have put it out.
    let begun = Instant::now();
    insert(&cluster[0], 1).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    cluster[0].wait_for_size(2, LIMIT).unwrap();
    assert_eq!(size(&cluster[0]), "2");
    cluster[2].thaw().unwrap();
    // It does not know yet that it was out; the others do.
    cluster[0].wait_for_size(3, LIMIT).unwrap();
    assert_eq!(size(&cluster[0]), "3");
    cluster[2].wait_synced(LIMIT).unwrap();
    assert_eq!(count(&cluster[2]).await, 1);
}

#[tokio::test]
async fn minority_is_bootstrapped_and_restarted() {
    let mut cluster = Galera::start(3).unwrap();
    create_table(&cluster[0]).await;
    let mut held = connect(&cluster[0]).await;
    cluster[1].kill().unwrap();
    cluster[2].kill().unwrap();
    // Its quorum is gone as soon as it believes that they are.
    while held.query_drop("DO 1").await.is_ok() {}
    assert_looks_well_and_refuses_work(&cluster[0], &mut held).await;
    cluster[0].bootstrap().unwrap();
    insert(&cluster[0], 1).await;

    // From here all nodes are down, and only the first has all data.
    cluster[0].kill().unwrap();
    cluster.restart().unwrap();
    for node in cluster.nodes() {
        assert_eq!((count(node).await, size(node)), (1, "3".to_owned()));
    }
}

#[test]
fn cluster_needs_no_tokio_and_ends_with_its_handle() {
    let cluster = Galera::builder()
        .arg("--max-connections=11")
        .provider_option("evs.suspect_timeout=PT3S")
        .start(1)
        .unwrap();
    let options = cluster[0]
        .variable("wsrep_provider_options")
        .unwrap()
        .unwrap();
    assert!(options.contains("evs.suspect_timeout = PT3S"), "{options}");
    let limit = cluster[0].variable("max_connections").unwrap();
    assert_eq!(limit.as_deref(), Some("11"));

    let pid = cluster[0].pid().unwrap();
    assert!(std::fs::exists(format!("/proc/{pid}")).unwrap());
    drop(cluster);
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());

    assert!(matches!(Galera::start(0), Err(GaleraError::NoNodes)));
    let refused = Galera::builder()
        .arg("--no-such-option")
        .start(2)
        .unwrap_err();
    assert!(refused.to_string().contains("no-such-option"), "{refused}");
    assert!(refused.to_string().contains("node0"), "{refused}");
}
