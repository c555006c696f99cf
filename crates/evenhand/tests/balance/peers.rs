//! The peer set changes while requests run.

use std::time::Duration;

use crate::common::{
    Does, INTERVAL, REFUSE, ScriptedConnector, balance, layer, peers, send, up_and_down,
};
use evenhand::{Eject, PeersError, State, Verdict, Weighted};
use tokio::time::{Instant, advance};
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn added_peers_are_picked_and_removed_ones_are_not() {
    let (peers, connector, balance) = balance(&["a"]);
    assert_eq!(send(&balance).await.unwrap(), "a");
    peers.add("b", ()).unwrap();
    peers.remove("a").unwrap();
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), "b");
    }
    assert_eq!(
        peers.add("b", ()).unwrap_err(),
        PeersError::Duplicate("b".into())
    );
    assert_eq!(
        peers.remove("a").unwrap_err().to_string(),
        "no peer is named `a`"
    );
    connector.attempts();
}

#[tokio::test(start_paused = true)]
async fn replace_all_keeps_the_state_of_retained_peers() {
    let (peers, connector, balance) = balance(&["a", "b", "c"]);
    connector.tell("a", REFUSE);
    while peers.up_count() == 3 {
        send(&balance).await.unwrap();
    }
    let due = peers.statuses()[0].next_probe;
    peers.replace_all([("d", ()), ("a", ())]).unwrap();
    let statuses = peers.statuses();
    let names: Vec<&str> = statuses.iter().map(|status| &*status.peer).collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(
        (statuses[0].state, statuses[0].next_probe),
        (State::Ejected, due)
    );
    for _ in 0..10 {
        assert_eq!(send(&balance).await.unwrap(), "d");
    }
    for name in ["x", "a"] {
        let twice = peers.replace_all([(name, ()), (name, ())]).unwrap_err();
        assert_eq!(twice, PeersError::Duplicate(name.into()));
    }
    assert_eq!(peers.len(), 2, "a change that fails changes nothing");
}

#[tokio::test(start_paused = true)]
async fn peer_with_changed_data_is_new() {
    let peers = evenhand::Peers::new([("a", 1), ("b", 2)]).unwrap();
    peers.eject("a", INTERVAL).unwrap();
    peers.replace_all([("a", 7), ("b", 2)]).unwrap();
    assert_eq!(peers.up_count(), 2);
    assert_eq!(peers.iter().map(|peer| *peer).collect::<Vec<i32>>(), [2, 7]);
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_attempts_and_ends_none() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.tell_all(&["a", "b"], Does::Hang);
    let mut under_way = Vec::new();
    while connector
        .tickets()
        .iter()
        .filter(|ticket| ticket.peer().name() == "a")
        .count()
        == 0
    {
        let balance = balance.clone();
        under_way.push(tokio::spawn(async move { send(&balance).await }));
        tokio::task::yield_now().await;
    }
    connector.tell_all(&["a", "b"], Does::Answer);

    let drain = tokio::spawn({
        let peers = peers.clone();
        async move { peers.drain("a").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(peers.statuses()[0].state, State::Draining);
    assert!(!drain.is_finished() && under_way.iter().all(|task| !task.is_finished()));
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), "b");
    }
    connector.tickets();
    under_way.iter().for_each(|task| task.abort());
    drain.await.unwrap().unwrap();
    assert_eq!(peers.statuses()[0].in_flight, 0);

    peers.restore("a").unwrap();
    assert_eq!(up_and_down(&peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_tickets() {
    let (peers, connector, balance) = balance(&["a"]);
    send(&balance).await.unwrap();
    let ticket = connector.tickets().remove(0);
    let copy = ticket.clone();
    assert_eq!(peers.statuses()[0].in_flight, 2);
    let drain = tokio::spawn({
        let peers = peers.clone();
        async move { peers.drain("a").await }
    });
    tokio::task::yield_now().await;
    drop(ticket);
    tokio::task::yield_now().await;
    assert!(!drain.is_finished());
    let lost = tokio::time::timeout(Duration::from_secs(1), copy.ejected()).await;
    assert!(lost.is_err(), "a drain lets work in progress continue");
    drop(copy);
    drain.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn restore_ends_a_waiting_drain() {
    let (peers, connector, balance) = balance(&["a"]);
    send(&balance).await.unwrap();
    let _ticket = connector.tickets().remove(0);
    let drain = tokio::spawn({
        let peers = peers.clone();
        async move { peers.drain("a").await }
    });
    tokio::task::yield_now().await;
    peers.restore("a").unwrap();
    drain.await.unwrap().unwrap();
    assert_eq!(up_and_down(&peers), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn manual_ejection_lasts_its_full_time() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    send(&balance).await.unwrap();
    let old = connector.tickets();
    peers.eject("a", 10 * INTERVAL).unwrap();
    for ticket in old {
        ticket.report(Verdict::healthy());
    }
    advance(10 * INTERVAL - Duration::from_millis(1)).await;
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), "b");
    }
    advance(Duration::from_millis(1)).await;
    assert_eq!(send(&balance).await.unwrap(), "a", "then it is probed");
    assert_eq!(up_and_down(&peers), (2, 0));

    peers.eject("a", INTERVAL).unwrap();
    peers.restore("a").unwrap();
    assert_eq!(up_and_down(&peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn manually_ejected_peer_is_not_opened() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .all_down(evenhand::AllDown::FailOpen)
        .layer(connector.clone());
    peers.eject("a", Duration::from_secs(1)).unwrap();
    peers.eject("b", Duration::from_secs(2)).unwrap();
    send(&balance).await.unwrap_err();
    assert!(connector.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn removal_ends_no_attempt_and_ignores_verdicts() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.tell_all(&["a", "b"], Does::Hang);
    let request = tokio::spawn({
        let balance = balance.clone();
        async move { send(&balance).await }
    });
    tokio::task::yield_now().await;
    let ticket = connector.tickets().remove(0);
    let name = ticket.peer().name().to_owned();
    peers.remove(&name).unwrap();
    tokio::task::yield_now().await;
    assert!(!request.is_finished());
    ticket.report(Verdict::down());
    assert!(ticket.is_stale());
    assert_eq!(up_and_down(&peers), (1, 0));
    request.abort();
}

#[tokio::test(start_paused = true)]
async fn floor_keeps_peers_in() {
    for (eject, kept) in [
        (Eject::on_first().min_up(1), 1),
        (Eject::on_first().min_up(9), 4),
        (Eject::on_first().min_up_share(0.5), 2),
        (Eject::on_first().min_up_share(0.6), 3),
    ] {
        let (peers, connector) = (peers(&["a", "b", "c", "d"]), ScriptedConnector::new());
        let balance = layer(&peers).eject(eject).layer(connector.clone());
        connector.tell_all(&["a", "b", "c", "d"], REFUSE);
        for _ in 0..10 {
            send(&balance).await.unwrap_err();
        }
        assert_eq!(peers.up_count(), kept);
    }
}

#[tokio::test(start_paused = true)]
async fn consecutive_failures_eject() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .eject(Eject::after_in_a_row(3))
        .layer(connector.clone());
    connector.script([REFUSE, REFUSE, Does::Answer, REFUSE, REFUSE]);
    for _ in 0..5 {
        let _ = send(&balance).await;
    }
    assert_eq!(peers.up_count(), 1);
    connector.script([REFUSE]);
    send(&balance).await.unwrap_err();
    assert_eq!(peers.up_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn failure_rate_ejects_and_restarts_after_recovery() {
    let rate = Eject::on_failure_rate(0.5, Duration::from_secs(10), 4).recheck_every(INTERVAL);
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers).eject(rate).layer(connector.clone());
    let degraded = Does::Fail(Verdict::degraded());
    connector.script([Does::Answer, degraded, Does::Answer, degraded]);
    for _ in 0..4 {
        assert_eq!(peers.up_count(), 1);
        let _ = send(&balance).await;
    }
    assert_eq!(peers.up_count(), 0, "two of four");
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    connector.script([degraded; 3]);
    for _ in 0..3 {
        send(&balance).await.unwrap_err();
    }
    assert_eq!(peers.up_count(), 1, "its failure rate starts again");
}

#[tokio::test(start_paused = true)]
async fn weights_change_at_run_time_and_zero_means_never() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let balance = layer(&peers).pick(Weighted).layer(connector.clone());
    let share_of_a = async || {
        let mut on_a = 0;
        for _ in 0..4000 {
            on_a += u32::from(balance_send(&balance).await == "a");
        }
        f64::from(on_a) / 4000.0
    };
    assert!((share_of_a().await - 0.5).abs() < 0.04);
    peers.set_weight("a", 3).unwrap();
    assert!((share_of_a().await - 0.75).abs() < 0.04);
    peers.set_weight("b", 0).unwrap();
    assert!((share_of_a().await - 1.0).abs() < f64::EPSILON);
    peers.set_weight("a", 0).unwrap();
    let mut service = balance.clone();
    let error = tower::Service::call(&mut service, "request")
        .await
        .unwrap_err();
    assert!(matches!(error, evenhand::Error::ZeroWeight), "{error}");
}

async fn balance_send(
    balance: &evenhand::Balance<
        ScriptedConnector,
        (),
        evenhand::Rules<crate::common::AsTold, evenhand::Cloned, Weighted>,
    >,
) -> String {
    let mut service = balance.clone();
    tower::Service::call(&mut service, "request")
        .await
        .unwrap()
        .peer
}

#[tokio::test(start_paused = true)]
async fn changes_to_the_set_are_events() {
    let (peers, _, _) = balance(&["a"]);
    let mut events = peers.subscribe();
    peers.add("b", ()).unwrap();
    peers.eject("a", INTERVAL).unwrap();
    peers.restore("a").unwrap();
    peers.drain("a").await.unwrap();
    peers.remove("a").unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        told.push(event.to_string());
    }
    let expected = [
        "b was added",
        "a ejected (by an operator); next probe in 30.0s",
        "a was restored by an operator",
        "a is being drained",
        "a was removed",
    ];
    assert_eq!(told, expected);
}

/// Requests run while the set changes under them, on two threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_peers_change() {
    let peers = peers(&["stays"]);
    // It keeps no ticket, as a ticket would delay a drain.
    let connector = tower::service_fn(async |_: evenhand::Attempt<(), ()>| {
        tokio::task::yield_now().await;
        Ok::<(), std::convert::Infallible>(())
    });
    let balance = evenhand::BalanceLayer::new(peers.clone()).layer(connector);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let requests: Vec<_> = (0..8)
        .map(|_| {
            let (mut balance, stop) = (balance.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    tower::Service::call(&mut balance, ()).await.unwrap();
                }
            })
        })
        .collect();
    let start = Instant::now();
    for round in 0..300 {
        let name = format!("guest-{}", round % 3);
        peers.add(name.clone(), ()).unwrap();
        tokio::task::yield_now().await;
        peers.eject(&name, Duration::from_millis(1)).unwrap();
        peers.restore(&name).unwrap();
        let drained = tokio::time::timeout(Duration::from_secs(30), peers.drain(&name)).await;
        drained.expect("a drain ends").unwrap();
        assert_eq!(peers.statuses()[1].in_flight, 0, "a drained peer is idle");
        peers.remove(&name).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(60));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for request in requests {
        request.await.unwrap();
    }
}
