//! A network that fails between the pool and one of its peers, under mixed work: it holds every
//! byte, cuts replies off, resets connections, is slow, or is not there.

use std::num::NonZeroU64;
use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_testkit::{Blackhole, Direction, FaultProxy, MariaDb};
use evenhand_tests::mixed::{self, Failure, Work};
use evenhand_tests::scene::Scene;
use evenhand_tests::{servers, until};

/// How long an attempt or a try may take, as `quick()` has it.
const LIMIT: Duration = Duration::from_secs(1);

fn urls(servers: &[MariaDb]) -> Vec<String> {
    servers.iter().map(MariaDb::url).collect()
}

/// Two servers, one of them behind a network that fails on command.
async fn behind() -> (Vec<MariaDb>, FaultProxy) {
    let servers = servers(2).await;
    mixed::prepare(&urls(&servers)).await;
    let network = FaultProxy::start(servers[0].addr()).unwrap();
    (servers, network)
}

fn open(name: &'static str, servers: &[MariaDb], network: &FaultProxy) -> Scene {
    let peers = [("db0", network.url()), ("db1", servers[1].url())];
    Scene::open(name, &peers, Work::Read)
}

/// The peer is lost and its connections stay open. Plain work waits, and goes on when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_network_costs_no_idempotent_work() {
    let (servers, network) = behind().await;
    let mut scene = open("network frozen", &servers, &network);
    scene.all_serve().await;
    scene.fault_begins("db0");
    network.freeze();
    scene.until_up("db0", false).await;
    // No idempotent work waits for the thaw.
    scene.idempotent_work_ends().await;
    scene.serves("db1").await;
    network.thaw();
    scene.until_up("db0", true).await;
    scene.fault_ends().await;
    scene.all_serve().await;
    assert_eq!(scene.ejections("db0"), 1);
    let count = scene.close(&urls(&servers)).await;
    // Plain work that waits on it ends when it is found lost, before the thaw or never.
    let found = |failure: &Failure| failure.to_string().contains("found lost");
    assert!(count.plain.failed.iter().all(found));
    assert!(count.longest_work >= LIMIT, "none hung on it");
    assert_closed(&network).await;
}

/// In a greeting, in a login, in a reply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_replies_cost_no_idempotent_work() {
    let (servers, network) = behind().await;
    let mut scene = open("replies cut", &servers, &network);
    scene.all_serve().await;
    for bytes in [1, 20, 100, 400] {
        scene.fault_begins("db0");
        let accepted = network.accepted();
        network.cut_after(Direction::ToClient, bytes);
        // Those that were open are cut, and some new ones.
        until("new connections are cut", Duration::from_secs(10), || {
            network.accepted() >= accepted + 2
        })
        .await;
        scene.serves("db1").await;
        network.heal().unwrap();
        scene.fault_ends().await;
        scene.until_up("db0", true).await;
        scene.all_serve().await;
    }
    let count = scene.close(&urls(&servers)).await;
    assert!(!count.plain.failed.is_empty(), "no reply was cut");
    assert_closed(&network).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_connections_cost_no_idempotent_work() {
    let (servers, network) = behind().await;
    let mut scene = open("resets", &servers, &network);
    scene.all_serve().await;
    for _ in 0..3 {
        scene.fault_begins("db0");
        network.reset_all();
        scene.fault_ends().await;
        scene.until_up("db0", true).await;
        scene.all_serve().await;
    }
    let count = scene.close(&urls(&servers)).await;
    assert!(!count.plain.failed.is_empty(), "nothing was reset");
    assert_closed(&network).await;
}

/// At first so slow that all takes its time, and then so that no login ends in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_network_costs_no_work() {
    let (servers, network) = behind().await;
    let scene = open("slow network", &servers, &network);
    scene.all_serve().await;
    network.throttle(NonZeroU64::new(2_000));
    scene.all_serve().await;
    network.throttle(NonZeroU64::new(50));
    scene.until_up("db0", false).await;
    scene.serves("db1").await;
    network.heal().unwrap();
    scene.until_up("db0", true).await;
    scene.all_serve().await;
    let count = scene.close(&urls(&servers)).await;
    assert!(count.plain.failed.is_empty());
    assert_closed(&network).await;
}

/// Connects to it hang. The first of them put it out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absent_peer_costs_no_work() {
    let servers = servers(1).await;
    mixed::prepare(&urls(&servers)).await;
    let hole = Blackhole::start().unwrap();
    let peers = [("hole", hole.url()), ("db1", servers[0].url())];
    let mut scene = Scene::open("blackhole", &peers, Work::Read);
    scene.until_up("hole", false).await;
    scene.serves("db1").await;
    assert_eq!(scene.state("db1"), State::Up);
    assert_eq!((scene.by("hole"), scene.ejections("hole")), (0, 1));
    let count = scene.close(&urls(&servers)).await;
    assert!(count.plain.failed.is_empty());
}

/// No connection through it is open.
async fn assert_closed(network: &FaultProxy) {
    let closed = || network.connections() == 0;
    until("no connection is left", Duration::from_secs(5), closed).await;
}
