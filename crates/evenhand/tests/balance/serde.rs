//! The stable JSON form of statuses and events.

use std::time::Duration;

use crate::common::{Does, INTERVAL, REFUSE, balance, send};
use evenhand::{EventKind, Peers};
use tokio::time::advance;

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn status_has_seconds_until_the_next_probe() {
    let peers = Peers::new([("a", ()), ("b", ())]).unwrap();
    peers.set_weight("b", 7).unwrap();
    peers.eject("a", INTERVAL).unwrap();
    advance(Duration::from_millis(17_500)).await;
    assert_eq!(
        json(&peers.statuses()),
        concat!(
            r#"[{"peer":"a","state":"ejected","next_probe_in":12.5,"in_flight":0,"weight":1,"tier":0,"for":17.5,"last_reason":"by an operator"},"#,
            r#"{"peer":"b","state":"up","next_probe_in":null,"in_flight":0,"weight":7,"tier":0,"for":17.5,"last_reason":null}]"#,
        )
    );
    let status = peers.statuses().remove(0);
    advance(INTERVAL).await;
    assert!(
        json(&status).contains(r#""next_probe_in":0.0"#),
        "it is due"
    );
}

#[tokio::test(start_paused = true)]
async fn events_have_their_age_and_details() {
    let (peers, connector, balance) = balance(&["a"]);
    let mut events = peers.subscribe();
    connector.script([REFUSE, Does::Fail(evenhand::Verdict::down())]);
    send(&balance).await.unwrap_err();
    advance(INTERVAL).await;
    send(&balance).await.unwrap_err();
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    // A drain waits for tickets.
    connector.tickets();
    peers.drain("a").await.unwrap();
    peers.restore("a").unwrap();
    peers.add("b", ()).unwrap();
    peers.remove("a").unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        told.push(json(&event));
    }
    assert_eq!(
        told,
        [
            r#"{"peer":"a","ago":60.0,"kind":"ejected","reason":"refused","probe_in":30.0,"set":"all_down"}"#,
            r#"{"peer":"a","ago":30.0,"kind":"probe_started"}"#,
            r#"{"peer":"a","ago":30.0,"kind":"probe_failed","reason":null,"probe_in":30.0}"#,
            r#"{"peer":"a","ago":0.0,"kind":"probe_started"}"#,
            r#"{"peer":"a","ago":0.0,"kind":"recovered","set":"first_up"}"#,
            r#"{"peer":"a","ago":0.0,"kind":"draining","set":"all_down"}"#,
            r#"{"peer":"a","ago":0.0,"kind":"restored","set":"first_up"}"#,
            r#"{"peer":"b","ago":0.0,"kind":"added"}"#,
            r#"{"peer":"a","ago":0.0,"kind":"removed"}"#,
        ]
    );
    assert_eq!(
        json(&EventKind::ProbeAbandoned),
        r#"{"kind":"probe_abandoned"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn events_of_a_named_set_name_it() {
    let peers = Peers::named("orders", [("a", ())]).unwrap();
    let mut events = peers.subscribe();
    peers.add("b", ()).unwrap();
    assert_eq!(
        json(&events.try_next().unwrap().unwrap()),
        r#"{"pool":"orders","peer":"b","ago":0.0,"kind":"added"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn state_serializes_as_its_display() {
    let (peers, connector, balance) = balance(&["up", "out", "tried", "drained"]);
    for name in ["out", "tried"] {
        peers.eject(name, INTERVAL).unwrap();
    }
    peers.drain("drained").await.unwrap();
    advance(INTERVAL).await;
    connector.tell("tried", Does::Hang);
    connector.tell("out", Does::Hang);
    let probe = tokio::spawn(async move { send(&balance).await });
    tokio::task::yield_now().await;
    for status in peers.statuses() {
        assert_eq!(json(&status.state), format!("\"{}\"", status.state));
    }
    probe.abort();
}
