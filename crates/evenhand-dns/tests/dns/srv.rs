//! SRV records: targets, ports, priorities, weights.

use std::time::Duration;

use evenhand_dns::evenhand::{Peers, Placed, State};
use evenhand_dns::{DEFAULT_QUERY_TIMEOUT, Endpoint};
use evenhand_testkit::DnsServer;
use evenhand_testkit::dns::DnsFault::{ServFail, Silent};
use evenhand_testkit::dns::RecordType::{A, SRV};
use tokio::time::Instant;

use crate::support::{Follower, MIN_TTL, discovery, eventually, source};

const SERVICE: &str = "_mysql._tcp.db.example";

/// Key, weight, tier.
fn peers(follower: &Follower) -> Vec<(&str, u32, u32)> {
    let peers = follower.peers.iter();
    peers
        .map(|(key, peer)| (&**key, peer.weight, peer.tier))
        .collect()
}

async fn server() -> DnsServer {
    let server = DnsServer::start().await.unwrap();
    server.set("db1.example", &["10.0.0.1"], 0);
    server.set("db2.example", &["10.0.0.2", "fd00::2"], 0);
    server.set("db3.example", &["10.0.0.3"], 0);
    server
}

fn follower(server: &DnsServer) -> Follower {
    Follower::new(discovery(server, &[&format!("srv:{SERVICE}")]).max_retry(MIN_TTL))
}

#[tokio::test]
async fn every_address_of_every_target_has_the_records_port_weight_and_tier() {
    let server = server().await;
    let records = [
        (10, 60, 3306, "db1.example"),
        (10, 20, 3307, "db2.example"),
        (20, 0, 3308, "db3.example"),
    ];
    server.set_srv(SERVICE, &records, 0);
    let mut follower = follower(&server);
    let keys = [
        "db1.example/10.0.0.1:3306",
        "db2.example/10.0.0.2:3307",
        "db2.example/[fd00::2]:3307",
        "db3.example/10.0.0.3:3308",
    ];
    follower.until(&keys).await;
    let weights = [(6000, 0), (1000, 0), (1000, 0), (100, 1)];
    let expected: Vec<_> = keys
        .into_iter()
        .zip(weights)
        .map(|(k, (w, t))| (k, w, t))
        .collect();
    assert_eq!(peers(&follower), expected);
    assert_eq!(&*follower.peers[keys[1]].host, "db2.example");
}

#[tokio::test]
async fn change_of_weight_or_priority_is_told_without_a_removal() {
    let server = server().await;
    let records = [(0, 1, 1, "db1.example"), (1, 1, 1, "db3.example")];
    server.set_srv(SERVICE, &records, 0);
    let mut follower = follower(&server);
    let keys = ["db1.example/10.0.0.1:1", "db3.example/10.0.0.3:1"];
    follower.until(&keys).await;
    server.set_srv(
        SERVICE,
        &[(2, 5, 1, "db1.example"), (1, 1, 1, "db3.example")],
        0,
    );
    while peers(&follower) != [(keys[0], 500, 1), (keys[1], 100, 0)] {
        follower.step().await;
    }
    assert!(
        follower.told.iter().all(|told| told.starts_with('+')),
        "{:?}",
        follower.told
    );
}

#[tokio::test]
async fn target_that_fails_keeps_its_addresses_and_others_change() {
    let server = server().await;
    let records = [(0, 1, 1, "db1.example"), (0, 1, 1, "db3.example")];
    server.set_srv(SERVICE, &records, 0);
    let mut follower = follower(&server);
    follower
        .until(&["db1.example/10.0.0.1:1", "db3.example/10.0.0.3:1"])
        .await;
    server.fail("db1.example", None, ServFail);
    server.set("db3.example", &["10.0.0.4"], 0);
    follower
        .until(&["db1.example/10.0.0.1:1", "db3.example/10.0.0.4:1"])
        .await;
    // A target that is no longer listed leaves, whether or not it can be looked up.
    server.set_srv(SERVICE, &[(0, 1, 1, "db3.example")], 0);
    follower.until(&["db3.example/10.0.0.4:1"]).await;
}

#[tokio::test]
async fn target_that_fails_has_the_place_that_its_record_has_now() {
    let server = server().await;
    let records = [(0, 9, 1, "db1.example"), (1, 1, 1, "db3.example")];
    server.set_srv(SERVICE, &records, 0);
    let mut follower = follower(&server);
    let (old, other) = ("db1.example/10.0.0.1:1", "db3.example/10.0.0.3:1");
    follower.until(&[old, other]).await;
    // A site that dies, and is demoted.
    server.fail("db1.example", None, ServFail);
    let records = [(2, 4, 1, "db1.example"), (1, 1, 1, "db3.example")];
    server.set_srv(SERVICE, &records, 0);
    while peers(&follower) != [(old, 400, 1), (other, 100, 0)] {
        follower.step().await;
    }
    let records = [(2, 4, 7, "db1.example"), (1, 1, 1, "db3.example")];
    server.set_srv(SERVICE, &records, 0);
    follower.until(&["db1.example/10.0.0.1:7", other]).await;
}

#[tokio::test(start_paused = true)]
async fn targets_that_a_server_is_silent_about_hold_up_no_others() {
    let server = DnsServer::start().await.unwrap();
    let names: Vec<_> = (0..60).map(|n| format!("db{n}.example")).collect();
    for (n, name) in names.iter().enumerate() {
        server.set(name, &[format!("10.0.1.{n}")], 300);
    }
    // One after the other, with as many between as are looked up at a time.
    for silent in names.iter().step_by(17) {
        server.fail(silent, None, Silent);
    }
    let records: Vec<_> = names.iter().map(|name| (0, 1, 1, name.as_str())).collect();
    server.set_srv(SERVICE, &records, 300);
    let source = source(&server, &format!("srv:{SERVICE}"));
    let began = Instant::now();
    let found = source.look_up().await.unwrap();
    assert_eq!((found.addresses.len(), found.lost.len()), (56, 4));
    // The time of one query, on a clock that only such waits move.
    assert!(began.elapsed() < 2 * DEFAULT_QUERY_TIMEOUT);
}

#[tokio::test]
async fn target_whose_ttl_is_shorter_decides_when_it_is_looked_up() {
    let server = server().await;
    server.set_srv(SERVICE, &[(0, 1, 1, "db1.example")], 300);
    let mut follower = follower(&server);
    follower.until(&["db1.example/10.0.0.1:1"]).await;
    server.set("db1.example", &["10.0.0.9"], 0);
    follower.until(&["db1.example/10.0.0.9:1"]).await;
}

#[tokio::test]
async fn service_that_is_not_available_keeps_the_list() {
    let server = server().await;
    server.set_srv(SERVICE, &[(0, 1, 1, "db1.example")], 0);
    let mut follower = follower(&server);
    follower.until(&["db1.example/10.0.0.1:1"]).await;
    server.set_srv(SERVICE, &[(0, 0, 0, ".")], 0);
    let asked = server.queries(SERVICE, SRV);
    follower.during(server.asked(SERVICE, SRV, asked + 3)).await;
    assert_eq!(follower.told.len(), 1, "{:?}", follower.told);
    let error = follower.changes.handle().sources()[0]
        .error
        .clone()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "`_mysql._tcp.db.example` has no addresses"
    );
}

#[tokio::test]
async fn many_targets_are_looked_up() {
    let server = DnsServer::start().await.unwrap();
    let names: Vec<_> = (0..60).map(|n| format!("db{n}.example")).collect();
    for (n, name) in names.iter().enumerate() {
        server.set(name, &[format!("10.0.1.{n}")], 300);
    }
    let records: Vec<_> = names.iter().map(|name| (0, 1, 1, name.as_str())).collect();
    server.set_srv(SERVICE, &records, 300);
    let mut follower = follower(&server);
    while follower.peers.len() < 60 {
        follower.step().await;
    }
    assert!(names.iter().all(|name| server.queries(name, A) >= 1));
}

#[tokio::test]
async fn weights_and_tiers_reach_the_peers_of_a_balancer_which_keep_their_state() {
    let server = server().await;
    let records = [(10, 60, 3306, "db1.example"), (20, 5, 3306, "db3.example")];
    server.set_srv(SERVICE, &records, 0);
    let changes = discovery(&server, &[&format!("srv:{SERVICE}")]).changes();
    let peers: Peers<Endpoint> = Peers::new::<&str>([]).unwrap();
    let _following = peers.follow_placed(changes.targets(Placed::from));
    let (one, three) = ("db1.example/10.0.0.1:3306", "db3.example/10.0.0.3:3306");
    let are = |expected: [(&str, u32, u32); 2]| {
        let statuses = peers.statuses();
        let places = statuses.iter().map(|s| (&*s.peer, s.weight, s.tier));
        places.eq(expected)
    };
    eventually("the peers", || are([(one, 6000, 0), (three, 500, 1)])).await;
    peers.eject(one, Duration::from_secs(3600)).unwrap();
    server.set_srv(
        SERVICE,
        &[(30, 7, 3306, "db1.example"), (20, 5, 3306, "db3.example")],
        0,
    );
    eventually("the change", || are([(one, 700, 1), (three, 500, 0)])).await;
    let peer = peers.get(one).unwrap();
    assert_eq!(peer.state(), State::Ejected);
    // What TLS needs.
    assert_eq!(
        (&*peer.host, peer.addr),
        ("db1.example", ([10, 0, 0, 1], 3306).into())
    );
}
