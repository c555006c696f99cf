//! Two databases of one config file share nothing, not even the state of a server that both use.

#![allow(
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Databases, Pool};
use evenhand_tests::{servers, states, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_databases_of_one_config_share_nothing() {
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
        databases.get("orders").unwrap(),
        databases.get("reports").unwrap(),
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
    let next_probe = orders.statuses()[0].next_probe.unwrap();
    assert!(next_probe.elapsed() < Duration::from_secs(2));

    // `reports` finds out for itself, and keeps its own time.
    while states(reports)[0] == State::Up {
        reports.get_conn().await.unwrap();
    }
    servers[0].restart().unwrap();
    let back = || states(orders) == [State::Up, State::Up];
    until("`orders` has its peer back", Duration::from_secs(20), back).await;

    let back = || states(reports) == [State::Up, State::Up];
    until("`reports` has its peer back", Duration::from_secs(40), back).await;
    databases.disconnect().await.unwrap();
}
