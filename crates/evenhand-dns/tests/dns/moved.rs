//! A name that moves while its TTL is long: lookups that are asked for.

use evenhand_dns::evenhand::{Observer, Peers};
use evenhand_testkit::DnsServer;
use evenhand_testkit::dns::RecordType::A;
use std::time::Duration;

use crate::support::{Follower, discovery, eventually};

#[tokio::test]
async fn lookup_that_is_asked_for_comes_soon_and_is_not_answered_from_a_cache() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1"], 86_400);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1"]));
    follower.until(&["db.example/10.0.0.1:1"]).await;
    server.set("db.example", &["10.0.0.2"], 86_400);
    // The TTL is a day, and its bound 5 min: only the handle brings it about.
    follower.changes.handle().look_now();
    follower.until(&["db.example/10.0.0.2:1"]).await;
    assert!(server.queries("db.example", A) >= 2);
}

#[tokio::test]
async fn alias_that_moved_is_not_answered_from_a_cache() {
    let server = DnsServer::start().await.unwrap();
    server.set("db-1.example", &["10.0.0.1"], 86_400);
    server.set_alias("db.example", "db-1.example", 86_400);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1"]));
    follower.until(&["db.example/10.0.0.1:1"]).await;
    server.set("db-1.example", &["10.0.0.2"], 86_400);
    follower.changes.handle().look_now();
    follower.until(&["db.example/10.0.0.2:1"]).await;
}

#[tokio::test]
async fn ejected_peer_brings_a_lookup_about() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1"], 86_400);
    let changes = discovery(&server, &["dns:db.example:1"]).changes();
    let handle = changes.handle();
    let peers = Peers::new([("seed", "10.9.9.9:1".parse().unwrap())]).unwrap();
    let following = peers.follow(changes.targets(|address| address.addr));
    let observing = peers.observe(handle.clone());
    handle.settled().await.unwrap();
    let found = "db.example/10.0.0.1:1";
    eventually("the peer", || peers.get(found).is_some()).await;

    server.set("db.example", &["10.0.0.2"], 86_400);
    peers.eject(found, Duration::from_secs(30)).unwrap();
    eventually("the new address", || {
        peers.get("db.example/10.0.0.2:1").is_some() && peers.get(found).is_none()
    })
    .await;
    drop((following, observing));
}

#[test]
fn handle_is_an_observer() {
    fn observer(_: impl Observer) {}
    let changes = evenhand_dns::Discovery::new([]).changes();
    observer(changes.handle());
}
