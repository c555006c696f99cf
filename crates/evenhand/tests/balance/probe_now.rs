//! Probes that come before their time.

use std::time::Duration;

use evenhand::{Eject, EventKind, Peer, PeersError, Probe, State, Verdict};
use tokio::time::Instant;
use tower::{Layer, service_fn};

use crate::common::{Does, ScriptedConnector, balance, layer, peers, send, up_and_down};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn ejected_peer_is_probed_now_and_back_if_it_passes() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let probe = service_fn(|_: Peer<()>| async { Ok::<_, &str>(()) });
    let hourly = Eject::on_first().recheck_every(HOUR);
    let balance = layer(&peers)
        .eject(hourly)
        .probe(Probe::new(probe, Duration::from_secs(2)))
        .layer(connector.clone());
    let mut events = peers.subscribe();
    connector.tell("a", Does::Fail(Verdict::down().safe()));
    while up_and_down(&peers).0 == 2 {
        send(&balance).await.unwrap();
    }
    let start = Instant::now();
    peers.probe_now("a").unwrap();
    while events.next().await.unwrap().unwrap().kind != EventKind::Recovered {}
    assert!(start.elapsed() < HOUR / 2);
    assert_eq!(up_and_down(&peers), (2, 0));
    let gone = peers.probe_now("c");
    assert!(matches!(gone, Err(PeersError::Unknown(_))), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn time_that_was_set_stays_and_so_does_a_drain() {
    let (peers, connector, balance) = balance(&["a", "b", "c"]);
    let rests = Verdict::down().safe().recover_in(HOUR);
    connector.tell("a", Does::Fail(rests));
    while up_and_down(&peers).0 == 3 {
        send(&balance).await.unwrap();
    }
    peers.eject("b", HOUR).unwrap();
    drop(connector.tickets());
    peers.drain("c").await.unwrap();
    let before = peers.statuses();
    for name in ["a", "b", "c"] {
        peers.probe_now(name).unwrap();
    }
    let after = peers.statuses();
    let states = [State::Ejected, State::Ejected, State::Draining];
    for (at, state) in states.into_iter().enumerate() {
        assert_eq!(after[at].state, state);
        assert_eq!(after[at].next_probe, before[at].next_probe);
    }
}
