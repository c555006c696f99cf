//! Peers are taken out of service under mixed work: a proxy is paused, and a peer is drained. No
//! work fails.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_testkit::{HaProxy, MariaDb};
use evenhand_tests::mixed::{self, Work};
use evenhand_tests::scene::Scene;
use evenhand_tests::{servers, sql};
use tokio::time::timeout;

fn urls(servers: &[MariaDb]) -> Vec<String> {
    servers.iter().map(MariaDb::url).collect()
}

/// It refuses new connections, and held ones live on. That is found when the pool next wants a
/// new one; then those that are held are retired as they come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_proxy_costs_no_work() {
    let servers = servers(2).await;
    mixed::prepare(&urls(&servers)).await;
    let started = HaProxy::start(&[servers[0].addr()]);
    let proxy = started.unwrap_or_else(|error| panic!("{error}"));
    let peers = [("proxy", proxy.url()), ("db1", servers[1].url())];
    let mut scene = Scene::open("paused proxy", &peers, Work::Read);
    scene.all_serve().await;

    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(scene.pool.get_conn().await.unwrap());
    }
    held.retain(|conn| conn.peer() == "proxy");
    assert!(!held.is_empty());
    proxy.disable_frontend().unwrap();
    // More than are open, so that new ones are needed.
    let mut more = Vec::new();
    while scene.state("proxy") == State::Up {
        more.push(scene.pool.get_conn().await.unwrap());
    }
    drop(more);
    // All but the held ones are gone, and those work on.
    let of_proxy = servers[0].url();
    sql::until_left(&of_proxy, held.len(), Duration::from_secs(10)).await;
    for conn in &mut held {
        assert_eq!(conn.query_first("SELECT 1").await.unwrap(), Some(1));
    }
    drop(held);
    sql::until_left(&of_proxy, 0, Duration::from_secs(10)).await;
    scene.serves("db1").await;

    proxy.enable_frontend().unwrap();
    scene.until_up("proxy", true).await;
    scene.all_serve().await;
    assert_eq!(scene.ejections("proxy"), 1);
    let count = scene.close(&urls(&servers)).await;
    assert!(count.plain.failed.is_empty());
}

/// The server is restarted in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drained_peer_restart_costs_no_work() {
    let mut servers = servers(2).await;
    mixed::prepare(&urls(&servers)).await;
    let peers = [("db0", servers[0].url()), ("db1", servers[1].url())];
    let mut scene = Scene::open("drained", &peers, Work::Read);
    scene.all_serve().await;

    let operator = scene.pool.peers();
    let drain = timeout(Duration::from_secs(5), operator.drain("db0")).await;
    drain.expect("work ends soon").unwrap();
    let before = scene.by("db0");
    sql::until_left(&servers[0].url(), 0, Duration::from_secs(5)).await;
    servers[0].stop().unwrap();
    scene.serves("db1").await;
    assert_eq!(scene.by("db0"), before, "all that was under way had ended");
    servers[0].restart().unwrap();
    operator.restore("db0").unwrap();
    scene.all_serve().await;
    assert_eq!(scene.ejections("db0"), 0);
    drop(operator);
    let count = scene.close(&urls(&servers)).await;
    assert!(count.plain.failed.is_empty());
}
