//! Whether all peers are online, and what they are.

use std::process::Command;
use std::time::Duration;

use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::mysql_async::{
    Conn,
    prelude::{Query, Queryable},
};
use evenhand_mysql::{Databases, HealthCheck, PeerFault, Pool, PoolOptions, ProbeKind, State};
use evenhand_testkit::{Blackhole, Galera, Maker};
use evenhand_tests::{servers, states};
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_secs(5);

/// One is up, one does not take the password, one is stopped; in two databases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_peer_is_reported_online_or_why_not() {
    let mut servers = servers(3).await;
    servers[2].stop().unwrap();
    let wrong = servers[1].url().replace("root@", "root:not-it@");
    let text = format!(
        "[databases.db0]\nurl = '{}'\n[databases.db1]\nurl = '{wrong}'\n\
         [databases.db2]\nurl = '{}'\n\
         [databases.orders]\npeers = ['db0', 'db1']\n[databases.reports]\npeers = ['db2', 'db0']",
        servers[0].url(),
        servers[2].url(),
    );
    let databases = Databases::open(&Config::parse(&text, "evenhand.toml").unwrap()).unwrap();
    let report = databases.check(LIMIT).await;
    assert!(!report.all_online());
    let found: Vec<_> = report
        .peers()
        .map(|(alias, peer)| (alias, &*peer.peer, peer.is_online()))
        .collect();
    let expected = [
        ("orders", "db0", true),
        ("orders", "db1", false),
        ("reports", "db2", false),
        ("reports", "db0", true),
    ];
    assert_eq!(found, expected);
    let peers: Vec<_> = report.peers().map(|(_, peer)| peer).collect();
    let facts = peers[0].facts.as_ref().unwrap();
    let mut conn = Conn::from_url(servers[0].url()).await.unwrap();
    let version: Option<String> = conn.query_first("SELECT VERSION()").await.unwrap();
    assert_eq!(facts.version, version);
    assert_eq!(facts.writable, Some(true));
    assert_eq!((&facts.galera, &facts.tls), (&None, &None));
    assert!(facts.round_trip.unwrap() < LIMIT);
    // The same clock.
    assert!(facts.clock_ahead.unwrap().abs() < facts.round_trip.unwrap().as_secs_f64());
    let refused = peers[1].fault.as_ref().unwrap();
    assert!(matches!(refused, PeerFault::LoginRefused(_)), "{refused}");
    let stopped = peers[2].fault.as_ref().unwrap();
    assert!(matches!(stopped, PeerFault::Unreachable(_)), "{stopped}");
    // It is no judgement.
    assert_eq!(states(&databases.get("orders").unwrap()), [State::Up; 2]);
    assert!(!format!("{report} {report:?}").contains("not-it"));

    // The example, as its users call it.
    let file = std::env::temp_dir().join(format!("evenhand-check-{}.toml", std::process::id()));
    std::fs::write(&file, &text).unwrap();
    let example = |file: &std::path::Path| {
        let mut run = match std::env::var_os("EVENHAND_EXAMPLES") {
            // Where `scripts/test.sh` has just had the examples built.
            Some(folder) => Command::new(std::path::Path::new(&folder).join("check")),
            None => {
                let mut run =
                    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                run.args(["run", "--quiet", "--locked", "-p", "evenhand-examples"]);
                run.args(["--example", "check", "--"]);
                run
            }
        };
        let ran = run.arg(file).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        (ran.status.code(), said)
    };
    let (code, said) = example(&file);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("\nnot online:\n  orders: db1 (127.0.0.1:"),
        "{said}"
    );
    let all = text.replace(&wrong, &servers[1].url());
    std::fs::write(&file, &all).unwrap();
    servers[2].restart().unwrap();
    let (code, said) = example(&file);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("\nall peers are online\n"), "{said}");
    std::fs::write(&file, "[databases.d]\npeers = ['unknown']").unwrap();
    assert_eq!(example(&file).0, Some(2));
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn silent_peers_take_no_longer_than_the_limit() {
    let servers = servers(2).await;
    servers[1].freeze().unwrap();
    let hole = Blackhole::start().unwrap();
    let mut peers = vec![
        ("well".to_owned(), servers[0].url()),
        ("frozen".to_owned(), servers[1].url()),
    ];
    peers.extend((0..100).map(|n| (format!("hole{n}"), hole.url())));
    let pool = Pool::new(peers.iter().map(|(name, url)| (&**name, &**url))).unwrap();
    // One after the other they would take a hundred limits.
    let limit = Duration::from_secs(1);
    let reports = timeout(10 * limit, pool.check(limit)).await.unwrap();
    assert!(reports[0].is_online());
    for silent in &reports[1..] {
        let fault = silent.fault.as_ref().unwrap();
        assert!(matches!(fault, PeerFault::NoAnswer(_)), "{fault}");
        assert!(silent.facts.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_server_is_reported() {
    let servers = servers(1).await;
    let check = HealthCheck::new().probe(ProbeKind::Writable);
    let options = PoolOptions::new().health_check(check);
    let url = servers[0].url();
    let pool = options.open([("db0", &*url)]).unwrap();
    "SET GLOBAL read_only = 1".ignore(&pool).await.unwrap();
    let reports = pool.check(LIMIT).await;
    assert_eq!(reports[0].facts.as_ref().unwrap().writable, Some(false));
    let fault = reports[0].fault.as_ref().unwrap();
    assert!(
        matches!(fault, PeerFault::NotReady("the peer is read-only")),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn galera_roles_are_reported() {
    if !Maker::MariaDb.only("Galera") {
        return;
    }
    let started = tokio::task::spawn_blocking(|| Galera::start(3)).await;
    // The error says how to install what is missing.
    let cluster = started.unwrap().unwrap_or_else(|error| panic!("{error}"));
    let urls = cluster.urls();
    let names = ["node0", "node1", "node2"].into_iter();
    let pool = Pool::new(names.zip(urls.iter().map(String::as_str))).unwrap();
    let reports = pool.check(LIMIT).await;
    for report in &reports {
        assert!(report.is_online(), "{report:?}");
        let galera = report.facts.as_ref().unwrap().galera.as_ref().unwrap();
        let told = (&*galera.state, galera.ready, &*galera.cluster, galera.nodes);
        assert_eq!(told, ("Synced", true, "Primary", 3));
    }
    cluster[1].isolate().unwrap();
    // It takes the cluster a moment to find out.
    let start = Instant::now();
    loop {
        let reports = pool.check(LIMIT).await;
        let galera = reports[1].facts.as_ref().unwrap().galera.as_ref().unwrap();
        if galera.cluster != "Primary" {
            let fault = reports[1].fault.as_ref().unwrap();
            assert!(matches!(fault, PeerFault::Failed(_)), "{fault}");
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{reports:?}");
    }
}
