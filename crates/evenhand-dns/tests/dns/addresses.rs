//! Every address of a name: what joins, leaves and stays.

use evenhand_dns::Dns;
use evenhand_dns::Name;
use evenhand_testkit::DnsServer;
use evenhand_testkit::dns::RecordType::A;

use crate::support::{Follower, discovery};

#[tokio::test]
async fn every_address_of_a_name_is_a_peer() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1", "10.0.0.2", "fd00::1"], 1);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:3306"]));
    follower
        .until(&[
            "db.example/10.0.0.1:3306",
            "db.example/10.0.0.2:3306",
            "db.example/[fd00::1]:3306",
        ])
        .await;
    let address = &follower.peers["db.example/10.0.0.1:3306"];
    assert_eq!(
        (&*address.host, address.weight, address.tier),
        ("db.example", 1, 0)
    );
}

#[tokio::test]
async fn records_that_are_added_removed_and_moved_are_told() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1"], 0);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1"]));
    follower.until(&["db.example/10.0.0.1:1"]).await;
    server.set("db.example", &["10.0.0.1", "10.0.0.2"], 0);
    follower
        .until(&["db.example/10.0.0.1:1", "db.example/10.0.0.2:1"])
        .await;
    server.set("db.example", &["10.0.0.2"], 0);
    follower.until(&["db.example/10.0.0.2:1"]).await;
    server.set("db.example", &["10.0.0.3"], 0);
    follower.until(&["db.example/10.0.0.3:1"]).await;
    // Each change once, and where a name moves the new address before the old one.
    let told = [
        "+10.0.0.1",
        "+10.0.0.2",
        "-10.0.0.1",
        "+10.0.0.3",
        "-10.0.0.2",
    ];
    let told = told.map(|change| format!("{}db.example/{}:1", &change[..1], &change[1..]));
    assert_eq!(follower.told, told);
}

#[tokio::test]
async fn order_of_an_answer_changes_nothing() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1", "10.0.0.2", "10.0.0.3"], 0);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1"]));
    follower.during(server.asked("db.example", A, 1)).await;
    for order in [
        ["10.0.0.3", "10.0.0.1", "10.0.0.2"],
        ["10.0.0.2", "10.0.0.3", "10.0.0.1"],
    ] {
        server.set("db.example", &order, 0);
        let asked = server.queries("db.example", A);
        follower
            .during(server.asked("db.example", A, asked + 2))
            .await;
    }
    assert_eq!(follower.told.len(), 3, "{:?}", follower.told);
}

#[tokio::test]
async fn alias_counts_with_its_own_ttl() {
    let server = DnsServer::start().await.unwrap();
    server.set("db-1.example", &["10.0.0.1"], 300);
    server.set("db-2.example", &["10.0.0.2"], 300);
    server.set_alias("db.example", "db-1.example", 0);
    let mut follower = Follower::new(discovery(&server, &["dns:db.example:1"]));
    follower.until(&["db.example/10.0.0.1:1"]).await;
    server.set_alias("db.example", "db-2.example", 0);
    follower.until(&["db.example/10.0.0.2:1"]).await;
}

#[tokio::test]
async fn one_lookup_can_be_made_without_a_stream() {
    let server = DnsServer::start().await.unwrap();
    server.set("db.example", &["10.0.0.1"], 7);
    let dns = Dns::name_server(server.addr()).unwrap();
    let name = Name::host("DB.example.", 3306).unwrap();
    let found = dns.look_up(&name).await.unwrap();
    assert_eq!(
        found.addresses[0].key().as_str(),
        "db.example/10.0.0.1:3306"
    );
    assert_eq!(found.valid_for.as_secs(), 7);
}
