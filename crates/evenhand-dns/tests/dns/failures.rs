//! Name servers that fail, or find nothing: what is known stays.

use std::time::Duration;

use evenhand_dns::hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use evenhand_dns::{Discovery, Dns, Error, Source};
use evenhand_testkit::DnsServer;
use evenhand_testkit::dns::DnsFault::{self, Empty, NxDomain, ServFail, Silent};
use evenhand_testkit::dns::RecordType::{A, AAAA, SRV};

use crate::support::{Follower, MIN_TTL, discovery, eventually};

/// A resolver that gives up soon on a server that says nothing.
fn impatient(server: &DnsServer) -> Dns {
    let mut connection = ConnectionConfig::udp();
    connection.port = server.addr().port();
    let name_server = NameServerConfig::new(server.addr().ip(), true, vec![connection]);
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_millis(150);
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Never;
    let config = ResolverConfig::from_name_servers(vec![name_server]);
    Dns::with_config(config, options).unwrap()
}

fn follower(server: &DnsServer) -> Follower {
    let source = Source::dns(&impatient(server), "db.example:1".parse().unwrap());
    let discovery = Discovery::new([source]).min_ttl(MIN_TTL);
    Follower::new(discovery.max_retry(MIN_TTL))
}

async fn keeps_the_list(fault: DnsFault, expected: fn(&Error) -> bool) {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1", "fd00::1"], 0);
    let mut follower = follower(&server);
    let both = ["db.example/10.0.0.1:1", "db.example/[fd00::1]:1"];
    follower.until(&both).await;
    let handle = follower.changes.handle();

    server.fail("db.example", None, fault);
    let failed = || handle.sources()[0].error.clone();
    let told = eventually("a failure", || {
        failed().is_some_and(|error| expected(&error))
    });
    follower.during(told).await;
    let asked = server.queries("db.example", A);
    follower
        .during(server.asked("db.example", A, asked + 4))
        .await;
    assert_eq!(follower.told.len(), 2, "{:?}", follower.told);
    assert_eq!(handle.sources()[0].addresses.len(), 2);
    assert!(handle.sources()[0].answered.is_some());

    server.fail("db.example", None, None);
    server.set("db.example", &["10.0.0.2"], 0);
    follower.until(&["db.example/10.0.0.2:1"]).await;
    assert!(handle.sources()[0].error.is_none());
}

#[tokio::test]
async fn servfail_keeps_the_list() {
    keeps_the_list(ServFail, |error| matches!(error, Error::Failed { .. })).await;
}

#[tokio::test]
async fn server_that_says_nothing_keeps_the_list() {
    keeps_the_list(Silent, |error| {
        matches!(error, Error::TimedOut { .. } | Error::Failed { .. })
    })
    .await;
}

#[tokio::test]
async fn name_that_does_not_exist_keeps_the_list() {
    keeps_the_list(NxDomain, |error| matches!(error, Error::NotFound { .. })).await;
}

#[tokio::test]
async fn empty_answer_keeps_the_list() {
    keeps_the_list(Empty, |error| matches!(error, Error::Empty { .. })).await;
}

#[tokio::test]
async fn error_names_what_was_looked_up_and_why_it_failed() {
    let server = DnsServer::start().await.unwrap();
    let dns = impatient(&server);
    let name = "db.example:1".parse().unwrap();
    let error = dns.look_up(&name).await.unwrap_err();
    assert_eq!(error.to_string(), "`db.example` does not exist");
    server.fail("db.example", None, ServFail);
    let error = dns.look_up(&name).await.unwrap_err();
    assert_eq!(error.to_string(), "the lookup of `db.example. (A)` failed");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("Server Failure"), "{source}");
}

#[tokio::test]
async fn family_that_fails_keeps_its_addresses_and_the_other_one_changes() {
    for fault in [ServFail, Silent] {
        let server = DnsServer::start().await.unwrap();
        server.set("db.example", &["10.0.0.1", "fd00::1"], 0);
        let mut follower = follower(&server);
        follower
            .until(&["db.example/10.0.0.1:1", "db.example/[fd00::1]:1"])
            .await;
        server.fail("db.example", AAAA, fault);
        server.set("db.example", &["10.0.0.2", "fd00::2"], 0);
        follower
            .until(&["db.example/10.0.0.2:1", "db.example/[fd00::1]:1"])
            .await;
        server.fail("db.example", AAAA, None);
        follower
            .until(&["db.example/10.0.0.2:1", "db.example/[fd00::2]:1"])
            .await;
    }
}

#[tokio::test]
async fn family_that_is_not_there_any_more_leaves() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1", "fd00::1"], 0);
    let mut follower = follower(&server);
    follower
        .until(&["db.example/10.0.0.1:1", "db.example/[fd00::1]:1"])
        .await;
    server.set("db.example", &["10.0.0.1"], 0);
    follower.until(&["db.example/10.0.0.1:1"]).await;
}

#[tokio::test]
async fn list_is_dropped_after_the_time_that_is_set() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1"], 0);
    let discovery = discovery(&server, &["dns:db.example:1"]).keep_for(3 * MIN_TTL);
    let mut follower = Follower::new(discovery);
    follower.until(&["db.example/10.0.0.1:1"]).await;
    server.remove("db.example");
    follower.until(&[]).await;
    server.set("db.example", &["10.0.0.1"], 0);
    follower.until(&["db.example/10.0.0.1:1"]).await;
}

#[tokio::test]
async fn name_that_is_not_there_yet_is_found_when_it_is() {
    let server = DnsServer::start().await.unwrap();
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1", "srv:_db.example"]));
    follower.during(server.asked("_db.example", SRV, 2)).await;
    server.set("db.example", &["10.0.0.1"], 300);
    follower.until(&["db.example/10.0.0.1:1"]).await;
}

#[tokio::test]
async fn one_name_that_fails_leaves_the_others_and_its_own_addresses() {
    let server = DnsServer::start().await.unwrap();
    server.set("a.example", &["10.0.0.1"], 0);
    server.set("b.example", &["10.0.0.2"], 0);
    let names = ["dns:a.example:1", "dns:b.example:1"];
    let mut follower = Follower::new(discovery(&server, &names).max_retry(MIN_TTL));
    follower
        .until(&["a.example/10.0.0.1:1", "b.example/10.0.0.2:1"])
        .await;
    server.fail("a.example", None, ServFail);
    let asked = server.queries("a.example", A);
    follower
        .during(server.asked("a.example", A, asked + 3))
        .await;
    server.set("b.example", &["10.0.0.3"], 0);
    follower
        .until(&["a.example/10.0.0.1:1", "b.example/10.0.0.3:1"])
        .await;
}
