//! How names are resolved: search domains, families, several name servers, and what needs none.

use std::fs;
use std::time::Duration;

use evenhand_dns::hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use evenhand_dns::hickory_resolver::proto::rr::Name as DnsName;
use evenhand_dns::{Dns, Error, Name};
use evenhand_testkit::DnsServer;
use evenhand_testkit::dns::DnsFault::{ServFail, Silent};
use evenhand_testkit::dns::RecordType::{A, AAAA};
use tokio::time::Instant;

fn name_server(server: &DnsServer) -> NameServerConfig {
    let mut connection = ConnectionConfig::udp();
    connection.port = server.addr().port();
    NameServerConfig::new(server.addr().ip(), true, vec![connection])
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    options
}

/// With `a.example` and `b.example` as search domains.
fn searching(server: &DnsServer) -> Dns {
    let domain = |text| DnsName::from_utf8(text).unwrap();
    let search = vec![domain("a.example."), domain("b.example.")];
    let config = ResolverConfig::from_parts(None, search, vec![name_server(server)]);
    Dns::with_config(config, options()).unwrap()
}

async fn found(dns: &Dns, name: &str) -> Vec<String> {
    let found = dns.look_up(&name.parse::<Name>().unwrap()).await.unwrap();
    assert!(found.lost.is_empty(), "{:?}", found.lost);
    found.addresses.iter().map(|a| a.addr.to_string()).collect()
}

#[tokio::test]
async fn both_families_come_from_the_first_domain_that_has_the_name() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.a.example", &["10.0.0.1"], 5);
    // Another host, which happens to have the other family.
    server.set("db.b.example", &["10.0.0.2", "fd00::2"], 5);
    let dns = searching(&server);
    assert_eq!(found(&dns, "dns:db:1").await, ["10.0.0.1:1"]);
    server.remove("db.a.example");
    assert_eq!(found(&dns, "dns:db:1").await, ["10.0.0.2:1", "[fd00::2]:1"]);
}

#[tokio::test(start_paused = true)]
async fn domain_that_does_not_answer_ends_the_search() {
    for fault in [ServFail, Silent] {
        let server = DnsServer::start().await.unwrap();
        server.set_srv("_db.b.example", &[(0, 1, 1, "db.b.example")], 5);
        server.set("db.b.example", &["10.0.0.2"], 5);
        // They may be there, and be others.
        server.fail("db.a.example", None, fault);
        server.fail("_db.a.example", None, fault);
        let dns = searching(&server);
        for name in ["dns:db:1", "srv:_db"] {
            let error = dns.look_up(&name.parse().unwrap()).await.unwrap_err();
            let failed = matches!(error, Error::Failed { .. } | Error::TimedOut { .. });
            assert!(failed, "{name}, {fault:?}: {error}");
            assert!(error.to_string().contains("db.a.example."), "{error}");
        }
        assert_eq!(server.queries("db.b.example", A), 0);
    }
}

#[tokio::test]
async fn complete_name_is_asked_for_alone() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.a.example", &["10.0.0.1"], 5);
    let dns = searching(&server);
    let error = dns
        .look_up(&"dns:db.:1".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(server.queries("db.a.example", A), 0);
}

#[tokio::test]
async fn one_family_is_asked_for_alone_if_it_is_set() {
    for (strategy, asked, other) in [
        (LookupIpStrategy::Ipv4Only, A, AAAA),
        (LookupIpStrategy::Ipv6Only, AAAA, A),
    ] {
        let server = DnsServer::start().await.unwrap();
        server.set("db.example", &["10.0.0.1", "fd00::1"], 5);
        let mut options = options();
        options.ip_strategy = strategy;
        let config = ResolverConfig::from_name_servers(vec![name_server(&server)]);
        let dns = Dns::with_config(config, options).unwrap();
        assert_eq!(found(&dns, "dns:db.example.:1").await.len(), 1);
        assert!(server.queries("db.example", asked) >= 1);
        assert_eq!(server.queries("db.example", other), 0);
        let error = dns.look_up(&"nowhere.:1".parse().unwrap()).await;
        assert!(matches!(error, Err(Error::NotFound { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn address_in_place_of_a_name_needs_no_name_server() {
    let server = DnsServer::start().await.unwrap();
    let dns = Dns::name_server(server.addr()).unwrap();
    assert_eq!(found(&dns, "dns:10.0.0.1:3306").await, ["10.0.0.1:3306"]);
    assert_eq!(found(&dns, "dns:[fd00::1]:3306").await, ["[fd00::1]:3306"]);
    let found = dns
        .look_up(&"10.0.0.1:3306".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(found.addresses[0].key().as_str(), "10.0.0.1:3306");
    let error = dns
        .look_up(&"nowhere.:1".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn query_ends_in_its_time_however_many_name_servers_say_nothing() {
    let mut servers = Vec::new();
    for _ in 0..6 {
        let server = DnsServer::start().await.unwrap();
        server.fail("db.example", None, Silent);
        servers.push(server);
    }
    let config = servers.iter().map(name_server).collect();
    let mut options = options();
    options.timeout = Duration::from_secs(2);
    options.attempts = 1;
    let dns = Dns::with_config(ResolverConfig::from_name_servers(config), options).unwrap();
    let began = Instant::now();
    let error = dns
        .look_up(&"dns:db.example.:1".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 4);
}

#[tokio::test]
async fn other_name_servers_are_asked_where_one_says_nothing() {
    let (bad, good) = (
        DnsServer::start().await.unwrap(),
        DnsServer::start().await.unwrap(),
    );
    bad.fail("db.example", None, Silent);
    good.set("db.example", &["10.0.0.1"], 5);
    let config = ResolverConfig::from_name_servers(vec![name_server(&bad), name_server(&good)]);
    let dns = Dns::with_config(config, options()).unwrap();
    assert_eq!(found(&dns, "dns:db.example.:1").await, ["10.0.0.1:1"]);
}

#[tokio::test(start_paused = true)]
async fn hosts_file_is_asked_first_for_the_name_as_it_is_written() {
    let server = DnsServer::start().await.unwrap();
    // As a wildcard record has it.
    server.set("db.a.example", &["10.0.0.1"], 5);
    server.fail("silent.a.example", None, Silent);
    let file = tempfile::NamedTempFile::new().unwrap();
    let hosts = "10.0.0.5 db\nfd00::5 db\n10.0.0.6 silent silent.b.example\n";
    fs::write(file.path(), hosts).unwrap();
    let dns = searching(&server).hosts_file(file.path());
    assert_eq!(found(&dns, "dns:db:1").await, ["10.0.0.5:1", "[fd00::5]:1"]);
    assert_eq!(found(&dns, "dns:silent:1").await, ["10.0.0.6:1"]);
    assert_eq!(server.queries("db.a.example", A), 0);
    assert_eq!(server.queries("silent.a.example", A), 0);
    // It is read anew with each lookup.
    fs::write(file.path(), "10.0.0.7 db\n").unwrap();
    assert_eq!(found(&dns, "dns:db.:1").await, ["10.0.0.7:1"]);
    // One that is not there names nothing.
    drop(file);
    assert_eq!(found(&dns, "dns:db:1").await, ["10.0.0.1:1"]);
}
