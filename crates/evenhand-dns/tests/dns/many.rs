//! Many addresses, several names, and a TTL of 0.

use std::collections::BTreeSet;
use std::time::Duration;

use evenhand_testkit::DnsServer;
use evenhand_testkit::dns::RecordType::A;
use tokio::time::Instant;

use crate::support::{Follower, MIN_TTL, discovery};

fn addresses(count: u8) -> Vec<String> {
    (0..count).map(|n| format!("10.0.2.{n}")).collect()
}

#[tokio::test]
async fn two_hundred_addresses_are_found() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &addresses(200), 300);
    let discovery = discovery(&server, &["dns:db.example:1"]).max_addresses(200);
    let mut follower = Follower::new(discovery);
    while follower.peers.len() < 200 {
        follower.step().await;
    }
    // They do not fit into UDP: the query came again by TCP.
    assert!(server.queries("db.example", A) >= 2);
}

#[tokio::test]
async fn addresses_over_the_bound_are_left_out_and_the_same_ones_in_every_lookup() {
    let server = DnsServer::start().await.unwrap();
    let mut all = addresses(200);
    server.set("db.example", &all, 0);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1"]));
    while follower.peers.len() < 100 {
        follower.step().await;
    }
    for _ in 0..3 {
        all.rotate_left(61);
        server.set("db.example", &all, 0);
        let asked = server.queries("db.example", A);
        follower
            .during(server.asked("db.example", A, asked + 4))
            .await;
    }
    assert_eq!(follower.told.len(), 100, "some came and went");
}

#[tokio::test]
async fn several_names_are_one_list_and_a_shared_address_is_one_peer() {
    let server = DnsServer::start().await.unwrap();
    server.set("a.example", &["10.0.0.1", "10.0.0.2"], 0);
    server.set("b.example", &["10.0.0.2", "10.0.0.3"], 0);
    let names = ["dns:a.example:1", "dns:b.example:1"];
    let mut follower = Follower::new(discovery(&server, &names));
    let all = [
        "a.example/10.0.0.1:1",
        "a.example/10.0.0.2:1",
        "b.example/10.0.0.3:1",
    ];
    follower.until(&all).await;
    // The first name gives it up, and the second one still has it.
    server.set("a.example", &["10.0.0.1"], 0);
    follower
        .until(&[
            "a.example/10.0.0.1:1",
            "b.example/10.0.0.2:1",
            "b.example/10.0.0.3:1",
        ])
        .await;
    // No two peers of one address are told at the end of any batch.
    let addrs: BTreeSet<_> = follower.peers.values().map(|peer| peer.addr).collect();
    assert_eq!(addrs.len(), follower.peers.len());
}

#[tokio::test]
async fn ttl_of_zero_makes_no_busy_loop() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1"], 0);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1"]));
    let began = Instant::now();
    follower.during(server.asked("db.example", A, 6)).await;
    // Five pauses at least.
    assert!(began.elapsed() >= 5 * MIN_TTL, "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(60));
}
