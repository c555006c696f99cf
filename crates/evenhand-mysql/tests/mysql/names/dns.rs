//! Peers from names in DNS, with a real name server.

use std::net::SocketAddr;
use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::evenhand_dns::{Dns, Name};
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Change, Error, Membership, PickKind, Pool, PoolOptions};
use evenhand_testkit::dns::RecordType;
use evenhand_testkit::{DnsFault, DnsServer, MariaDb};
use tokio::task::spawn_blocking;

use super::{at_one_port, ip};
use crate::common::setup::{patient, still};
use crate::common::{fakes, soon, until};
use crate::members::{Load, names, up_are};

const NAME: &str = "db.example";
const LOCAL: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

fn known_to(options: PoolOptions, server: &DnsServer) -> PoolOptions {
    options.dns(Dns::name_server(server.addr()).unwrap())
}

/// A pool over a name, which knows of the server.
fn pool_of(name: &str, server: &DnsServer, options: PoolOptions) -> Pool {
    let name: Name = name.parse().unwrap();
    let options = known_to(options, server);
    let opts = "mysql://root@h/test?pool_min=0";
    options.open_names([(name, opts)]).unwrap()
}

/// The peers' names at these numbers of 127.0.0.0/24.
fn at(port: u16, numbers: &[u8]) -> Vec<String> {
    let name = |number: &u8| format!("{NAME}/127.0.0.{number}:{port}");
    numbers.iter().map(name).collect()
}

async fn up_at(pool: &Pool, port: u16, numbers: &[u8]) {
    let names = at(port, numbers);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    up_are(pool, &names).await;
}

/// The name has been asked for again, and answered.
async fn asked_again(server: &DnsServer) {
    let of = RecordType::A;
    let before = server.queries(NAME, of);
    server.asked(NAME, of, before + 2).await;
}

#[tokio::test]
async fn every_address_of_a_name_is_a_peer_under_load() {
    let started = spawn_blocking(|| {
        let first = MariaDb::builder().start()?;
        let at = |last| SocketAddr::new(ip(last), first.port());
        let second = MariaDb::builder().addr(at(2)).start()?;
        let third = MariaDb::builder().addr(at(3)).start()?;
        Ok::<_, evenhand_testkit::MariaDbError>([first, second, third])
    });
    let servers = started.await.unwrap();
    let mut servers = servers.unwrap_or_else(|error| panic!("{error}"));
    let port = servers[0].port();
    let dns = DnsServer::start().await.unwrap();
    dns.set(NAME, &LOCAL[..1], 1);
    let pool = pool_of(&format!("dns:{NAME}.:{port}"), &dns, patient());
    let load = Load::on(&pool);
    load.goes_on().await;
    up_at(&pool, port, &[1]).await;

    dns.set(NAME, &[LOCAL[2], LOCAL[0], LOCAL[1]], 1);
    up_at(&pool, port, &[1, 2, 3]).await;
    load.goes_on().await;
    // Another order, and answers that are none, change nothing.
    dns.set(NAME, &LOCAL, 1);
    asked_again(&dns).await;
    for fault in [DnsFault::ServFail, DnsFault::NxDomain, DnsFault::Empty] {
        dns.fail(NAME, None, fault);
        asked_again(&dns).await;
        assert_eq!(names(&pool), at(port, &[1, 2, 3]), "{fault:?}");
        load.goes_on().await;
    }
    dns.fail(NAME, None, None);
    // Those that leave have no work before they end.
    dns.set(NAME, &LOCAL[2..], 1);
    up_at(&pool, port, &[3]).await;
    until("their connections are back", || {
        pool.usage().peers.len() == 1
    })
    .await;
    load.goes_on().await;
    let [first, second, _third] = &mut servers;
    first.stop().unwrap();
    second.stop().unwrap();
    load.end().await;
}

#[tokio::test]
async fn targets_of_a_service_have_ports_weights_and_tiers() {
    let [a, b] = fakes().await;
    let dns = DnsServer::start().await.unwrap();
    dns.set("one.example", &LOCAL[..1], 60);
    let (first, second) = (
        (0, 3, a.port(), "one.example"),
        (7, 1, b.port(), "one.example"),
    );
    dns.set_srv("_mysql._tcp.db.example", &[first, second], 60);
    let url = "mysql+srv://root@_mysql._tcp.db.example./test?pool_min=0";
    let options = known_to(still().pick(PickKind::Weighted), &dns);
    let pool = options.open_url(url).unwrap();
    for _ in 0..9 {
        let conn = soon(pool.get_conn()).await.unwrap();
        assert!(conn.peer().ends_with(&a.port().to_string()), "the near one");
    }
    let both = || {
        pool.statuses()
            .iter()
            .all(|status| status.state == State::Up)
    };
    until("both are up", || pool.statuses().len() == 2 && both()).await;
    let statuses = pool.statuses();
    let mut placed: Vec<(u32, u32)> = statuses.iter().map(|s| (s.weight, s.tier)).collect();
    placed.sort_unstable();
    assert_eq!(placed, [(100, 1), (300, 0)]);
    assert_eq!(
        statuses[0].peer.split('/').next().unwrap(),
        "_mysql._tcp.db.example"
    );
}

/// The same server under another name, in the records of a service.
#[tokio::test]
async fn target_that_is_renamed_stays_a_peer() {
    const SERVICE: &str = "_mysql._tcp.db.example";
    let [a] = fakes().await;
    let dns = DnsServer::start().await.unwrap();
    for name in ["old.example", "new.example"] {
        dns.set(name, &LOCAL[..1], 1);
    }
    dns.set_srv(SERVICE, &[(0, 1, a.port(), "old.example")], 1);
    let url = "mysql+srv://root@_mysql._tcp.db.example./test?pool_min=0&socket=/nowhere";
    let pool = known_to(still(), &dns).open_url(url).unwrap();
    drop(soon(pool.get_conn()).await.unwrap());
    dns.set_srv(SERVICE, &[(0, 1, a.port(), "new.example")], 1);
    let before = dns.queries(SERVICE, RecordType::SRV);
    dns.asked(SERVICE, RecordType::SRV, before + 3).await;
    until("it is the one peer", || {
        let statuses = pool.statuses();
        statuses.len() == 1 && statuses[0].state == State::Up
    })
    .await;
    drop(soon(pool.get_conn()).await.unwrap());
}

fn config(hosts: &str) -> Config {
    let text = format!(
        "[databases.all]\nhosts = '{hosts}'\nuser = 'root'\nname = 'test'\npool_min = 0\npool_max = 7\n\
         [databases.orders]\npeers = ['all']\n"
    );
    Config::parse(&text, "f").unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn name_in_a_file_is_checked_shown_and_reloaded() {
    let fakes: [_; 2] = at_one_port().await;
    let port = fakes[0].port();
    let dns = DnsServer::start().await.unwrap();
    let plan = config(&format!("dns:{NAME}.:{port}"));
    let databases = known_to(still(), &dns).open_databases(&plan).unwrap();
    let limit = Duration::from_secs(30);
    // Before it is found, and before the pool is used.
    let report = databases.check(limit).await;
    assert!(!report.all_online());
    assert!(
        report.to_string().contains(&format!("dns:{NAME}.:{port}")),
        "{report}"
    );
    dns.set(NAME, &LOCAL[..2], 1);
    let report = databases.check(limit).await;
    let peers: Vec<&str> = report.peers().map(|(_, peer)| &*peer.peer).collect();
    let expected = [1, 2].map(|last| format!("all/127.0.0.{last}:{port}"));
    assert_eq!(peers, expected);
    assert!(report.all_online(), "{report}");

    let pool = databases.get("orders").unwrap();
    let mut conn = soon(pool.get_conn()).await.unwrap();
    let user: Option<String> = conn.query_first("SELECT USER()").await.unwrap();
    assert!(user.unwrap().starts_with("root@"));
    let expected = expected.each_ref().map(String::as_str);
    up_are(&pool, &expected).await;
    assert!(pool.usage().peers.iter().all(|peer| peer.limit == 7));
    assert_eq!(databases.check(limit).await.peers().count(), 2);

    assert!(databases.reload(&plan).unwrap().is_empty());
    dns.set("other.example", &LOCAL[1..2], 1);
    let changes = databases
        .reload(&config(&format!("dns:other.example.:{port}")))
        .unwrap();
    assert_eq!(changes.get("orders"), Some(&Change::Reopened));
    let pool = databases.get("orders").unwrap();
    drop(soon(pool.get_conn()).await.unwrap());
    up_are(&pool, &expected[1..]).await;
}

#[tokio::test]
async fn name_and_cluster_exclude_each_other() {
    let dns = DnsServer::start().await.unwrap();
    let options = known_to(still(), &dns).discover(Membership::galera());
    let error = options
        .open_url("mysql+dns://root@db.example/test")
        .unwrap_err();
    let error = Error::find(&error).unwrap().to_string();
    assert!(error.contains("not both"), "{error}");
    let bad = known_to(still(), &dns).open_url("mysql+srv://root@a..b/test");
    assert!(bad.is_err());
    let none = known_to(still(), &dns).open_names(Vec::<(Name, &str)>::new());
    assert!(matches!(
        Error::find(&none.unwrap_err()),
        Some(Error::NoPeers)
    ));
}
