//! A Galera cluster of three under mixed work: a node is isolated, a node refuses queries, all
//! are restarted one after the other.

use evenhand_mysql::evenhand::State;
use evenhand_testkit::{Galera, Maker};
use evenhand_tests::mixed::{self, Work};
use evenhand_tests::scene::Scene;

const NODES: [&str; 3] = ["node0", "node1", "node2"];

async fn cluster() -> Galera {
    let started = tokio::task::spawn_blocking(|| Galera::start(3)).await;
    // The error says how to install what is missing.
    let cluster = started.unwrap().unwrap_or_else(|error| panic!("{error}"));
    mixed::prepare(&cluster.urls()).await;
    cluster
}

fn peers(cluster: &Galera) -> Vec<(&'static str, String)> {
    NODES.into_iter().zip(cluster.urls()).collect()
}

/// It logs clients in and answers pings, and refuses all work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn isolated_node_costs_no_idempotent_work() {
    if !Maker::MariaDb.only("Galera") {
        return;
    }
    let cluster = cluster().await;
    let mut scene = Scene::open("isolated node", &peers(&cluster), Work::Read);
    scene.all_serve().await;

    scene.fault_begins("node1");
    cluster[1].isolate().unwrap();
    scene.until_up("node1", false).await;
    scene.fault_ends().await;
    // It is looked at again, and is no better.
    scene.probes_fail("node1", 1).await;
    scene.others_serve("node1").await;

    cluster[1].rejoin().unwrap();
    scene.until_up("node1", true).await;
    scene.all_serve().await;
    assert_eq!(scene.ejections("node1"), 1);
    scene.close(&cluster.urls()).await;
}

/// It says that it is synced and ready all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejecting_node_costs_no_idempotent_work() {
    if !Maker::MariaDb.only("Galera") {
        return;
    }
    let cluster = cluster().await;
    let mut scene = Scene::open("rejected queries", &peers(&cluster), Work::Read);
    scene.all_serve().await;

    scene.fault_begins("node2");
    cluster[2].reject_queries(true).unwrap();
    scene.until_up("node2", false).await;
    scene.fault_ends().await;
    // It is looked at again, and is no better.
    scene.probes_fail("node2", 1).await;
    scene.others_serve("node2").await;

    cluster[2].reject_queries(false).unwrap();
    scene.until_up("node2", true).await;
    scene.all_serve().await;
    assert_eq!(scene.ejections("node2"), 1);
    scene.close(&cluster.urls()).await;
}

/// Each is stopped by SIGTERM, started, and waited for until it is synced; then comes the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_costs_no_idempotent_work() {
    if !Maker::MariaDb.only("Galera") {
        return;
    }
    let mut cluster = cluster().await;
    let mut scene = Scene::open("rolling restart", &peers(&cluster), Work::Read);
    scene.all_serve().await;

    for (number, node) in NODES.into_iter().enumerate() {
        scene.fault_begins(node);
        cluster[number].stop().unwrap();
        scene.fault_ends().await;
        scene.until_up(node, false).await;
        cluster[number].restart().unwrap();
        scene.until_up(node, true).await;
        scene.serves(node).await;
        assert!(scene.ejections(node) >= 1);
    }
    for node in NODES {
        assert_eq!(scene.state(node), State::Up);
    }
    scene.close(&cluster.urls()).await;
}
