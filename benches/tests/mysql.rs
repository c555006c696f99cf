//! The MySQL measurements measure what they say: queries are asked, and faults are seen.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

use std::time::Duration;

use evenhand_benches::mysql::outage::{self, CLIENTS, Contender, Fault};
use evenhand_benches::mysql::query::Protocol;
use evenhand_benches::mysql::{checkout, held, hop, query, server};
use evenhand_testkit::{HaProxy, MariaDb};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// One of the server's counters.
fn status(server: &MariaDb, name: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let mut conn = Conn::from_url(server.url()).await.expect("it is up");
        let row: Option<(String, u64)> = conn
            .query_first(format!("SHOW GLOBAL STATUS LIKE '{name}'"))
            .await
            .expect("it answers");
        conn.disconnect().await.expect("it is up");
        row.expect("there is such a counter").1
    })
}

fn sum(calls: u64) -> u64 {
    (0..calls).map(|call| server::value(server::id(call))).sum()
}

#[test]
fn every_way_to_query_reads_every_value() {
    let server = server::start(1).remove(0);
    for protocol in [Protocol::Text, Protocol::Prepared] {
        for row in query::Row::ALL {
            let mut run = query::set_up(row, protocol, &server::url(server.addr()));
            assert_eq!(run(25), sum(25), "{row:?}, {protocol:?}");
        }
    }
}

#[test]
fn held_connections_are_queried_and_each_set_reconnects() {
    let server = server::start(1).remove(0);
    let url = server::url(server.addr());
    for (protocol, counter) in [
        (Protocol::Text, "Com_select"),
        (Protocol::Prepared, "Com_stmt_execute"),
    ] {
        let (logins, asked) = (status(&server, "Connections"), status(&server, counter));
        let sets = held::run(&url, protocol, 2, 20);
        let asked = status(&server, counter) - asked;
        let logins = status(&server, "Connections") - logins;
        assert!(sets.iter().flatten().all(|time| *time > 0.0), "{sets:?}");
        assert_eq!(sets.len(), 2);
        // A tenth more than is counted, of three rows, in two sets; drivers ask for settings, too.
        assert!((132..160).contains(&asked), "{asked} {counter}");
        assert!(logins >= 6, "{logins} logins");
    }
}

#[test]
fn only_a_checkout_with_a_reset_contacts_the_server() {
    let server = server::start(1).remove(0);
    for row in checkout::Row::ALL {
        let mut run = checkout::set_up(row, &server::url(server.addr()));
        // What is opened ahead is open.
        run(20);
        let logins = status(&server, "Connections");
        let resets = status(&server, "Com_admin_commands");
        assert_eq!(run(50), 50);
        let resets = status(&server, "Com_admin_commands") - resets;
        let resetting = row.base() == checkout::Row::DriverReset;
        // The last one may still be under way.
        let expected = if resetting { 49..=51 } else { 0..=0 };
        assert!(expected.contains(&resets), "{row:?}: {resets} resets");
        // Those that looked, and few of the pool's: what is given back is used again.
        let logins = status(&server, "Connections") - logins;
        assert!(logins < 25, "{row:?}: {logins} logins");
    }
}

#[test]
fn every_way_to_two_servers_reads_every_value() {
    let servers = server::start(2);
    let addrs = [servers[0].addr(), servers[1].addr()];
    let proxy = HaProxy::start(&addrs).unwrap_or_else(|error| panic!("{error}"));
    for row in hop::Row::ALL {
        let mut run = hop::set_up(row, 4, &addrs, proxy.addr());
        assert_eq!(run(40), 4 * sum(10), "{row:?}");
        assert_eq!(run(40), 4 * sum(10), "{row:?}, once more");
    }
}

#[test]
fn outage_is_measured_by_its_clients() {
    let window = Duration::from_secs(3);
    let alone = outage::run(Contender::Driver, Fault::Freeze, window);
    assert_eq!(alone.stuck, CLIENTS as u64, "{alone:?}");
    assert!(
        alone.silence > window - Duration::from_millis(500),
        "{alone:?}"
    );

    let two = outage::run(Contender::EvenhandIdempotent, Fault::Kill, window);
    assert_eq!(two.failed_queries, 0, "{two:?}");
    assert!(two.answered > 0, "{two:?}");
    assert!(two.silence < Duration::from_secs(2), "{two:?}");
}
