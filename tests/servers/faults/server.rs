//! What happens to one of two or three real servers under mixed work: a clean end, a freeze, too many
//! connections, a wrong password, read-only.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::{Conn, Error, Opts};
use evenhand_testkit::MariaDb;
use evenhand_tests::mixed::{self, Failure, Work};
use evenhand_tests::scene::Scene;
use evenhand_tests::{servers, sql};
use tokio::time::{sleep, timeout};

/// How long an attempt or a try may take, as `quick()` has it.
const LIMIT: Duration = Duration::from_secs(1);

fn urls(servers: &[MariaDb]) -> Vec<String> {
    servers.iter().map(MariaDb::url).collect()
}

/// Two servers with the work's tables.
async fn two() -> Vec<MariaDb> {
    let servers = servers(2).await;
    mixed::prepare(&urls(&servers)).await;
    servers
}

fn peers(servers: &[MariaDb]) -> Vec<(&'static str, String)> {
    ["db0", "db1"].into_iter().zip(urls(servers)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shut_down_server_costs_no_idempotent_work() {
    let mut servers = two().await;
    let mut scene = Scene::open("shut down", &peers(&servers), Work::Read);
    scene.all_serve().await;

    scene.fault_begins("db0");
    servers[0].stop().unwrap();
    scene.fault_ends().await;
    scene.until_up("db0", false).await;
    scene.others_serve("db0").await;

    servers[0].restart().unwrap();
    scene.until_up("db0", true).await;
    scene.all_serve().await;
    assert_eq!(scene.ejections("db0"), 1);
    scene.close(&urls(&servers)).await;
}

/// Plain work waits for it, and goes on when it does; nothing fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_server_costs_no_idempotent_work() {
    let servers = two().await;
    let mut scene = Scene::open("frozen", &peers(&servers), Work::Read);
    scene.all_serve().await;

    scene.fault_begins("db0");
    servers[0].freeze().unwrap();
    scene.until_up("db0", false).await;
    // No idempotent work waits for the thaw.
    scene.idempotent_work_ends().await;
    scene.serves("db1").await;

    servers[0].thaw().unwrap();
    scene.until_up("db0", true).await;
    scene.fault_ends().await;
    scene.all_serve().await;
    assert_eq!(scene.ejections("db0"), 1);
    let count = scene.close(&urls(&servers)).await;
    // Plain work that waits on it ends when it is found lost, before the thaw or never.
    let found = |failure: &Failure| failure.to_string().contains("found lost");
    assert!(count.plain.failed.iter().all(found));
    assert!(count.longest_work >= LIMIT, "none hung on it");
}

/// Others hold all of its connections; when they come free it serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_server_costs_no_work() {
    let full = MariaDb::builder().arg("--max-connections=10").start();
    let full = full.unwrap_or_else(|error| panic!("{error}"));
    let servers = [full, servers(1).await.remove(0)];
    mixed::prepare(&urls(&servers)).await;
    let mut held: Vec<Conn> = Vec::new();
    let fill = async {
        loop {
            match Conn::new(Opts::from_url(&servers[0].url()).unwrap()).await {
                Ok(conn) => held.push(conn),
                // One more than ten, as an administrator has a place of their own.
                Err(error) if held.len() == 11 => break error,
                // A connection of before has its place until it is closed.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let refusal = timeout(Duration::from_secs(30), fill).await.unwrap();
    assert!(
        matches!(&refusal, Error::Server(error) if error.code == 1040),
        "{refusal}"
    );

    // Its own share of that few, with one left for checks.
    let few = format!("{}?pool_min=0&pool_max=8", servers[0].url());
    let peers = [("db0", few), ("db1", servers[1].url())];
    let mut scene = Scene::open("full", &peers, Work::Read);
    scene.serves("db1").await;
    assert_eq!(scene.by("db0"), 0);

    for conn in held {
        conn.disconnect().await.unwrap();
    }
    scene.all_serve().await;
    assert_eq!(scene.ejections("db0"), 0);
    // No work had a reason to fail.
    let count = scene.close(&urls(&servers)).await;
    assert!(count.plain.failed.is_empty());
}

/// It is out as soon as another peer has taken the same caller in, and stays out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_password_on_one_peer_costs_no_work() {
    let servers = two().await;
    let wrong = servers[0].url().replace("root@", "root:not-it@");
    assert_ne!(wrong, servers[0].url());
    let mut scene = Scene::open("wrong password", &peers(&servers)[1..], Work::Read);
    scene.serves("db1").await;
    // As a new peer, whose password was mistyped.
    scene.add("db0", &wrong);
    scene.until_up("db0", false).await;
    // Three rechecks find nothing better.
    scene.probes_fail("db0", 3).await;
    scene.serves("db1").await;
    assert_eq!(scene.by("db0"), 0);
    assert_eq!(scene.state("db1"), State::Up);
    assert_eq!((scene.ejections("db0"), scene.ejections("db1")), (1, 0));
    let count = scene.close(&urls(&servers)).await;
    assert!(count.plain.failed.is_empty());
}

/// Its users may not override it. Writes go to a peer that takes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_server_costs_no_idempotent_write() {
    let servers = two().await;
    for server in &servers {
        let user = "CREATE USER app@'%' IDENTIFIED BY ''";
        let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO app@'%'";
        sql::run(&server.url(), &[user, grant]).await;
    }
    let app = |server: &MariaDb| server.url().replace("root@", "app@");
    let peers = [("db0", app(&servers[0])), ("db1", app(&servers[1]))];
    let mut scene = Scene::open("read-only", &peers, Work::Write);
    scene.all_serve().await;

    scene.fault_begins("db0");
    sql::run(&servers[0].url(), &["SET GLOBAL read_only = 1"]).await;
    scene.serves("db1").await;
    sql::run(&servers[0].url(), &["SET GLOBAL read_only = 0"]).await;
    scene.fault_ends().await;
    scene.all_serve().await;
    assert_eq!((scene.ejections("db0"), scene.ejections("db1")), (0, 0));
    scene.close(&urls(&servers)).await;
}
