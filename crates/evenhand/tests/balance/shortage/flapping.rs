//! A peer whose probes succeed and whose traffic fails.

use std::time::Duration;

use crate::common::{AsTold, REFUSE, ScriptedConnector, peers, send, up_and_down};
use evenhand::{BalanceLayer, Peer, Peers, Probe};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, service_fn};

type Balanced = crate::common::Balanced;

/// As users have it: with the default intervals.
fn balance(peers: &Peers<()>, connector: &ScriptedConnector) -> Balanced {
    let probe = service_fn(async |_: Peer<()>| Ok::<(), ()>(()));
    BalanceLayer::new(peers.clone())
        .classify(AsTold)
        .probe(Probe::new(probe, Duration::from_secs(1)))
        .seed(1)
        .layer(connector.clone())
}

async fn minute(balance: &Balanced, connector: &ScriptedConnector) -> usize {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        send(balance).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    let attempts = connector.attempts();
    attempts.iter().filter(|peer| *peer == "bad").count()
}

#[tokio::test(start_paused = true)]
async fn peer_that_relapses_waits_longer_each_time() {
    let (peers, connector) = (peers(&["well", "bad"]), ScriptedConnector::new());
    let balance = balance(&peers, &connector);
    connector.tell("bad", REFUSE);
    let mut failed = Vec::new();
    for _ in 0..10 {
        failed.push(minute(&balance, &connector).await);
    }
    assert!(failed[0] <= 12 && failed[9] <= 3, "{failed:?}");
    assert!(failed[9] >= 1, "it is still given a chance: {failed:?}");
}

#[tokio::test(start_paused = true)]
async fn relapses_are_forgotten_after_a_check_interval() {
    let (peers, connector) = (peers(&["well", "bad"]), ScriptedConnector::new());
    let balance = balance(&peers, &connector);
    connector.tell("bad", REFUSE);
    for _ in 0..3 {
        minute(&balance, &connector).await;
    }
    connector.tell("bad", crate::common::Does::Answer);
    sleep(Duration::from_secs(40)).await;
    assert_eq!(up_and_down(&peers), (2, 0));
    advance(Duration::from_secs(31)).await;
    connector.tell("bad", REFUSE);
    while peers.up_count() == 2 {
        send(&balance).await.unwrap();
    }
    let bad = peers.statuses().remove(1);
    let wait = bad.next_probe.unwrap() - Instant::now();
    assert!(wait < Duration::from_millis(1200), "{wait:?}");
}
