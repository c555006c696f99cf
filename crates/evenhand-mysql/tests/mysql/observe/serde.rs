//! The JSON form of usage and reports.

use std::time::Duration;

use crate::common::{fakes, pool_with, quick};
use evenhand_mysql::evenhand_config::Config;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Change, Databases};
use serde_json::{Value, json};

#[tokio::test]
async fn usage_has_the_fields_of_pool_and_peers() {
    let [fake] = fakes::<1>().await;
    let options = quick().max_connections(3);
    let one = std::slice::from_ref(&fake);
    let pool = pool_with("pool_min=0&pool_max=2", one, options);
    let mut held = pool.get_conn().await.unwrap();
    held.ping().await.unwrap();
    assert_eq!(
        serde_json::to_value(pool.usage()).unwrap(),
        json!({
            "in_use": 1, "limit": 3, "checking_out": 0, "waiting": 0,
            "peers": [{
                "peer": "a", "state": "up", "in_use": 1, "limit": 2, "idle": 0, "opened": 1,
                "waiting": 0,
            }],
        })
    );
}

#[tokio::test]
async fn report_has_a_list_of_peers_for_each_database() {
    let [there, gone] = fakes::<2>().await;
    gone.kill();
    let text = format!(
        "[databases.a]\nurl = '{}'\n[databases.b]\nurl = '{}'\n\
         [databases.shop]\npeers = ['a', 'b']",
        there.url(),
        gone.url()
    );
    let databases = Databases::open(&Config::parse(&text, "f").unwrap()).unwrap();
    let report = databases.check(Duration::from_secs(10)).await;
    let mut report = serde_json::to_value(report).unwrap();
    assert_eq!(report["all_online"], false);
    let peers = &mut report["databases"]["shop"];
    let facts = peers[0]["facts"].take();
    assert!(facts["version"].is_string(), "{facts}");
    assert!(
        facts["round_trip"].as_f64().is_some_and(|s| s < 10.0),
        "{facts}"
    );
    assert_eq!(facts["galera"], Value::Null);
    let message = peers[1]["fault"]["message"].take();
    let message = message.as_str().unwrap();
    assert!(message.starts_with("cannot be reached: "), "{message}");
    let address = |fake: &evenhand_testkit::FakeMySql| fake.addr().to_string();
    assert_eq!(
        *peers,
        json!([
            {"peer": "a", "address": address(&there), "online": true, "facts": null, "fault": null},
            {
                "peer": "b", "address": address(&gone), "online": false, "facts": null,
                "fault": {"kind": "unreachable", "message": null},
            },
        ])
    );
}

#[test]
fn changes_of_a_reload_are_words() {
    let changes = [Change::Opened, Change::Reopened, Change::Peers];
    let text = serde_json::to_string(&changes).unwrap();
    assert_eq!(text, r#"["opened","reopened","peers"]"#);
}

#[tokio::test]
async fn statuses_and_events_are_the_balancers() {
    let [fake] = fakes::<1>().await;
    let one = std::slice::from_ref(&fake);
    let pool = pool_with("pool_min=0", one, quick().name("orders"));
    let mut events = pool.subscribe();
    pool.peers().eject("a", Duration::from_secs(60)).unwrap();
    let statuses = serde_json::to_value(pool.statuses()).unwrap();
    assert_eq!(
        (&statuses[0]["peer"], &statuses[0]["state"]),
        (&json!("a"), &json!("ejected"))
    );
    let event = serde_json::to_value(events.try_next().unwrap()).unwrap();
    assert_eq!(
        (&event["pool"], &event["kind"]),
        (&json!("orders"), &json!("ejected"))
    );
}
