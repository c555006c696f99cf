//! How an ejected peer recovers.

use std::time::Duration;

use crate::common::{
    Does, INTERVAL, REFUSE, ScriptedConnector, balance, layer, peers, send, up_and_down,
};
use evenhand::{Eject, EventKind, Peer, Peers, Probe, State, Verdict};
use tokio::time::{Instant, advance};
use tower::{Layer, service_fn};

/// Ejects `a`.
async fn eject_a(
    peers: &Peers<()>,
    connector: &ScriptedConnector,
    balance: &crate::common::Balanced,
) {
    connector.tell("a", REFUSE);
    while peers.statuses()[0].state == State::Up {
        let _ = send(balance).await;
    }
    connector.attempts();
}

#[tokio::test(start_paused = true)]
async fn one_request_at_a_time_probes() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    eject_a(&peers, &connector, &balance).await;
    connector.tell("a", Does::Hang);
    advance(INTERVAL).await;

    let probe = tokio::spawn({
        let balance = balance.clone();
        async move { send(&balance).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(connector.attempts(), ["a"]);
    assert_eq!(peers.statuses()[0].state, State::Probing);
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), "b");
    }
    assert!(
        !connector.attempts().contains(&"a".to_owned()),
        "only one probe at a time"
    );

    // A probe that is dropped releases its permit at once.
    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    connector.tell("a", Does::Answer);
    assert_eq!(send(&balance).await.unwrap(), "a");
    assert_eq!(up_and_down(&peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn failed_probe_waits_for_next_interval() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    eject_a(&peers, &connector, &balance).await;
    for _ in 0..3 {
        advance(INTERVAL).await;
        assert_eq!(send(&balance).await.unwrap(), "b");
        assert_eq!(connector.attempts(), ["a", "b"]);
        assert_eq!(send(&balance).await.unwrap(), "b");
        assert_eq!(connector.attempts(), ["b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_prefers_an_up_peer_to_a_probe() {
    let (peers, connector, balance) = balance(&["a", "b", "c"]);
    eject_a(&peers, &connector, &balance).await;
    connector.tell("b", REFUSE);
    while up_and_down(&peers).0 == 2 {
        send(&balance).await.unwrap();
    }
    connector.attempts();
    // Both `a` and `b` are due; the first attempt probes one, the retry does not probe the other.
    advance(INTERVAL).await;
    assert_eq!(send(&balance).await.unwrap(), "c");
    let attempts = connector.attempts();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn neutral_probe_leaves_the_peer_due() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    eject_a(&peers, &connector, &balance).await;
    advance(INTERVAL).await;
    connector.tell("a", Does::Fail(Verdict::neutral().safe()));
    assert_eq!(send(&balance).await.unwrap(), "b");
    connector.tell("a", Does::Answer);
    assert_eq!(send(&balance).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn five_consecutive_degraded_outcomes_eject() {
    let (peers, connector, balance) = balance(&["a"]);
    let degraded = Does::Fail(Verdict::degraded());
    connector.script([degraded; 4]);
    for _ in 0..4 {
        send(&balance).await.unwrap_err();
    }
    send(&balance).await.unwrap();
    connector.script([degraded; 5]);
    for _ in 0..4 {
        send(&balance).await.unwrap_err();
    }
    assert_eq!(up_and_down(&peers), (1, 0), "a success resets the count");
    send(&balance).await.unwrap_err();
    assert_eq!(up_and_down(&peers), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn verdict_can_set_the_interval() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    let full = Verdict::down().safe().recover_in(Duration::from_secs(2));
    connector.tell("a", Does::Fail(full));
    while up_and_down(&peers).0 == 2 {
        send(&balance).await.unwrap();
    }
    let due = peers.statuses()[0].next_probe.unwrap();
    assert_eq!(due - Instant::now(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn recheck_interval_grows_up_to_its_limit() {
    let peers = peers(&["a"]);
    let connector = ScriptedConnector::new();
    let balance = layer(&peers)
        .eject(Eject::on_first())
        .layer(connector.clone());
    connector.tell("a", REFUSE);
    for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        send(&balance).await.unwrap_err();
        let wait = peers.statuses()[0].next_probe.unwrap() - Instant::now();
        assert!(
            (wait.as_secs_f64() / expected - 1.0).abs() <= 0.1,
            "{wait:?} for {expected}"
        );
        advance(wait).await;
    }
    assert_eq!(connector.attempts().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn events_report_an_outage_in_order() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    let mut events = peers.subscribe();
    eject_a(&peers, &connector, &balance).await;
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    connector.tell("a", Does::Answer);
    advance(INTERVAL).await;
    send(&balance).await.unwrap();

    let mut told = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        told.push(event.to_string());
    }
    assert_eq!(
        told,
        [
            "a ejected (refused); next probe in 30.0s",
            "a is being probed",
            "a failed its probe (refused); next probe in 30.0s",
            "a is being probed",
            "a recovered",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn background_probe_uses_no_caller_request() {
    let peers = peers(&["a", "b"]);
    let connector = ScriptedConnector::new();
    let probes = ScriptedConnector::new();
    let probe = {
        let probes = probes.clone();
        service_fn(move |peer: Peer<()>| {
            let answers = probes.answers(peer.name());
            async move { if answers { Ok(()) } else { Err("still down") } }
        })
    };
    let balance = layer(&peers)
        .probe(Probe::new(probe, Duration::from_secs(2)))
        .layer(connector.clone());
    let mut events = peers.subscribe();
    probes.tell("a", REFUSE);
    eject_a(&peers, &connector, &balance).await;
    connector.tell("a", Does::Answer);

    advance(INTERVAL).await;
    tokio::task::yield_now().await;
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), "b");
    }
    probes.tell("a", Does::Answer);
    advance(INTERVAL).await;
    loop {
        if events.next().await.unwrap().unwrap().kind == EventKind::Recovered {
            break;
        }
    }
    assert!(
        !connector.attempts().contains(&"a".to_owned()),
        "no request was a probe"
    );
    assert_eq!(up_and_down(&peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn hanging_background_probe_ends_by_its_limit() {
    let peers = peers(&["a", "b"]);
    let connector = ScriptedConnector::new();
    let probe = service_fn(|_: Peer<()>| std::future::pending::<Result<(), ()>>());
    let balance = layer(&peers)
        .probe(Probe::new(probe, Duration::from_secs(2)))
        .layer(connector.clone());
    let mut events = peers.subscribe();
    eject_a(&peers, &connector, &balance).await;
    let start = Instant::now();
    loop {
        if let EventKind::ProbeFailed { reason, .. } = events.next().await.unwrap().unwrap().kind {
            assert_eq!(reason, Some("probe timed out"));
            break;
        }
    }
    let took = start.elapsed() - INTERVAL;
    assert!(
        took.abs_diff(Duration::from_secs(2)) <= Duration::from_millis(2),
        "{took:?}"
    );
}

/// An ejection outside any runtime has no timer; picks look at the clock instead.
#[test]
fn peer_ejected_outside_a_runtime_recovers() {
    let peers = peers(&["a", "b"]);
    let connector = ScriptedConnector::new();
    let eject = Eject::on_first().recheck_every(Duration::from_millis(1));
    let balance = layer(&peers).eject(eject).layer(connector.clone());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let ticket = runtime().block_on(async {
        while connector.attempts() != ["a"] {
            connector.tickets();
            send(&balance).await.unwrap();
        }
        connector.tickets().remove(0)
    });
    ticket.report(Verdict::down());
    assert_eq!(up_and_down(&peers), (1, 1));
    runtime().block_on(async {
        while up_and_down(&peers) != (2, 0) {
            send(&balance).await.unwrap();
        }
    });
}

/// A timer that ends with its runtime must not leave its peer ejected for ever.
#[test]
fn peer_recovers_after_its_runtime_ends() {
    let peers = peers(&["a", "b"]);
    let connector = ScriptedConnector::new();
    let eject = Eject::on_first().recheck_every(Duration::from_millis(200));
    let balance = layer(&peers).eject(eject).layer(connector.clone());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    runtime().block_on(eject_a(&peers, &connector, &balance));
    connector.tell("a", Does::Answer);
    runtime().block_on(async {
        while up_and_down(&peers) != (2, 0) {
            send(&balance).await.unwrap();
        }
    });
}

#[tokio::test(start_paused = true)]
async fn event_has_the_time_it_happened() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    let mut events = peers.subscribe();
    let start = Instant::now();
    eject_a(&peers, &connector, &balance).await;
    connector.tell("a", Does::Answer);
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    advance(INTERVAL).await;
    let mut told = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        told.push(event.at - start);
    }
    assert_eq!(told, [Duration::ZERO, INTERVAL, INTERVAL]);
}

#[tokio::test(start_paused = true)]
async fn a_background_probe_with_any_other_verdict_has_failed() {
    for verdict in [Verdict::neutral(), Verdict::suspect(), Verdict::degraded()] {
        let (peers, mut failed) = (peers(&["a"]), 0);
        let probe = service_fn(move |_: Peer<()>| async move { Ok::<_, ()>(verdict) });
        let _balance = layer(&peers)
            .probe(Probe::new(probe, Duration::from_secs(2)))
            .layer(ScriptedConnector::new());
        peers.eject("a", INTERVAL).unwrap();
        let mut events = peers.subscribe();
        tokio::time::sleep(INTERVAL + INTERVAL / 2).await;
        while let Some(event) = events.try_next().unwrap() {
            failed += u32::from(matches!(event.kind, EventKind::ProbeFailed { .. }));
        }
        assert_eq!(failed, 1, "{verdict:?}");
    }
}
