//! The databases of a config file: they share nothing, are reloaded under load, and requests find them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::mysql_async::{Conn, prelude::Queryable};
use evenhand_mysql::{Change, Databases, Error, Pool};
use evenhand_testkit::MariaDb;
use evenhand_tests::{servers, states, until};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{Service, ServiceExt};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_one_config_share_nothing() {
    let mut servers = servers(3).await;
    let text = format!(
        r#"
        [databases.a]
        url = "{}"
        [databases.b]
        host = "127.0.0.1"
        port = {}
        user = "root"
        [databases.c]
        url = "{}"

        [databases.orders]
        peers = ["a", "b"]
        check_interval = "1s"
        [databases.reports]
        peers = ["a", "c"]
        check_interval = "1h"
        "#,
        servers[0].url(),
        servers[1].port(),
        servers[2].url(),
    );
    let config = Config::parse(&text, "evenhand.toml").unwrap();
    let databases = Databases::open(&config).unwrap();
    let (orders, reports) = (
        &databases.get("orders").unwrap(),
        &databases.get("reports").unwrap(),
    );
    let names = |pool: &Pool| -> Vec<String> {
        pool.statuses()
            .iter()
            .map(|status| status.peer.to_string())
            .collect()
    };
    assert_eq!(
        (names(orders), names(reports)),
        (vec!["a".into(), "b".into()], vec!["a".into(), "c".into()])
    );
    assert!(
        databases.get("a").is_none(),
        "a peer is no database to check out from"
    );
    let before = reports.statuses();

    // `a` dies; only `orders` is asked, so only `orders` learns of it.
    servers[0].kill().unwrap();
    while states(orders) == [State::Up, State::Up] {
        let mut conn = orders.get_conn().await.unwrap();
        let port: u16 = conn.query_first("SELECT @@port").await.unwrap().unwrap();
        assert_eq!((port, conn.peer()), (servers[1].port(), "b"));
    }
    assert_eq!(states(orders), [State::Ejected, State::Up]);
    assert_eq!(
        reports.statuses(),
        before,
        "the other's state and peers are as they were"
    );
    assert!(orders.statuses()[0].next_probe.is_some());

    // `reports` finds out for itself, and keeps its own time.
    while states(reports)[0] == State::Up {
        drop(reports.get_conn().await.unwrap());
    }
    servers[0].restart().unwrap();
    let back = || states(orders) == [State::Up, State::Up];
    until("`orders` has its peer back", Duration::from_secs(20), back).await;

    let back = || states(reports) == [State::Up, State::Up];
    until("`reports` has its peer back", Duration::from_secs(40), back).await;
    databases.close().await.unwrap();
}

const TWO: &str = "peers = ['a', 'b']";

/// Three peers, and `orders` as this says.
fn config(servers: &[MariaDb], orders: &str) -> Config {
    let peers = ["a", "b", "c"].into_iter().zip(servers);
    let peers: String = peers
        .map(|(name, server)| format!("[databases.{name}]\nurl = '{}'\n", server.url()))
        .collect();
    let text = format!("{peers}[databases.orders]\n{orders}\n");
    Config::parse(&text, "evenhand.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn names(pool: &Pool) -> Vec<String> {
    let statuses = pool.statuses();
    statuses.iter().map(|one| one.peer.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_under_load_costs_no_request() {
    let servers = servers(3).await;
    let databases = Databases::open(&config(&servers, TWO)).unwrap();
    let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let mut load = JoinSet::new();
    for _ in 0..20 {
        let (databases, stop, asked) = (databases.clone(), stop.clone(), asked.clone());
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let pool = databases.get("orders").unwrap();
                let mut conn = pool.get_conn().await.unwrap();
                let seven: Option<u32> = conn.query_first("SELECT 7").await.unwrap();
                assert_eq!(seven, Some(7));
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let some_more = async || {
        let enough = asked.load(Ordering::Relaxed) + 200;
        let done = || asked.load(Ordering::Relaxed) >= enough;
        until("the load goes on", LIMIT, done).await;
    };
    let mut held = loop {
        let conn = databases.get("orders").unwrap().get_conn().await.unwrap();
        if conn.peer() == "a" {
            break conn;
        }
    };
    let before = databases.get("orders").unwrap();
    let steps = [
        ("peers = ['b', 'c']", Change::Peers, vec!["b", "c"]),
        (
            "peers = ['c']\nmax_connections = 15",
            Change::Reopened,
            vec!["c"],
        ),
        (
            "peers = ['a', 'c']\nmax_connections = 15",
            Change::Peers,
            vec!["a", "c"],
        ),
        (TWO, Change::Reopened, vec!["a", "b"]),
    ];
    for (orders, expected, peers) in steps {
        some_more().await;
        let changes = databases.reload(&config(&servers, orders)).unwrap();
        assert_eq!(
            changes,
            [("orders".to_owned(), expected)].into(),
            "{orders}"
        );
        let mut present = names(&databases.get("orders").unwrap());
        present.sort();
        assert_eq!(present, peers);
        // Its peer has gone and come; it is where it was.
        held.query_drop("DO 1").await.unwrap();
    }
    some_more().await;
    assert_eq!(databases.reload(&config(&servers, TWO)).unwrap(), [].into());
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    // Who holds an older pool can go on with it.
    before.get_conn().await.unwrap().ping().await.unwrap();
    drop(held);
    drop(before);
    databases.close().await.unwrap();
    assert!(databases.get("orders").is_none());
    for server in &servers {
        let mut operator = Conn::from_url(server.url()).await.unwrap();
        let others = "SELECT COUNT(*) - 1 FROM information_schema.processlist WHERE user = 'root'";
        let start = Instant::now();
        while operator.query_first(others).await.unwrap() != Some(0) {
            assert!(start.elapsed() < LIMIT, "connections are left over");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_reload_changes_nothing() {
    let servers = servers(3).await;
    let databases = Databases::open(&config(&servers, TWO)).unwrap();
    // The file is well-formed; the driver does not know the parameter.
    let wrong = servers[2].url() + "?no_such_parameter=1";
    let text = format!(
        "[databases.a]\nurl = '{wrong}'\n[databases.orders]\npeers = ['a']\n\
         [databases.more]\npeers = ['a']"
    );
    let wrong = Config::parse(&text, "evenhand.toml").unwrap();
    let error = databases.reload(&wrong).unwrap_err();
    assert!(matches!(error, Error::Options { .. }), "{error}");
    let open: Vec<_> = databases
        .iter()
        .map(|(alias, pool)| (alias, names(&pool)))
        .collect();
    let expected = [("orders".to_owned(), vec!["a".to_owned(), "b".to_owned()])];
    assert_eq!(open, expected);
    drop(databases.get("orders").unwrap().get_conn().await.unwrap());
}

/// An operator's ejection outlives the arrival of another peer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_peer_keeps_state_and_takes_new_weight() {
    let servers = servers(3).await;
    let databases = Databases::open(&config(&servers, TWO)).unwrap();
    let pool = databases.get("orders").unwrap();
    pool.peers().eject("a", Duration::from_secs(3600)).unwrap();
    let three = "peers = ['a', 'b', 'c']";
    databases.reload(&config(&servers, three)).unwrap();
    assert_eq!(states(&pool), [State::Ejected, State::Up, State::Up]);
    let url = servers[1].url();
    let text = format!(
        "[databases.a]\nurl = '{}'\n[databases.b]\nurl = '{url}'\nweight = 4\n\
         [databases.orders]\n{TWO}",
        servers[0].url()
    );
    let weighed = Config::parse(&text, "evenhand.toml").unwrap();
    databases.reload(&weighed).unwrap();
    let weights: Vec<_> = pool
        .statuses()
        .iter()
        .map(|one| (one.state, one.weight))
        .collect();
    assert_eq!(weights, [(State::Ejected, 1), (State::Up, 4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_goes_to_the_named_database() {
    let servers = servers(2).await;
    let text = format!(
        "[databases.a]\nurl = '{}'\n[databases.b]\nurl = '{}'\n\
         [databases.users]\npeers = ['a']\n[databases.orders]\npeers = ['b']",
        servers[0].url(),
        servers[1].url()
    );
    let databases = Databases::open(&Config::parse(&text, "evenhand.toml").unwrap()).unwrap();
    let mut router = databases.route(|path: &&str| path.split('/').next().unwrap_or("").to_owned());
    for (path, peer) in [("users/7", "a"), ("orders/1", "b"), ("users/8", "a")] {
        let conn = router.ready().await.unwrap().call(path).await.unwrap();
        assert_eq!(conn.peer(), peer);
    }
    let error = router.call("invoices/1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Other error: no database `invoices`; known: orders, users"
    );
}
