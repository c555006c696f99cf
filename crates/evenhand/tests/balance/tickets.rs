//! Outcomes that are reported after the response.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{
    Does, INTERVAL, REFUSE, ScriptedConnector, balance, layer, peers, send, up_and_down,
};
use evenhand::{Accrual, Eject, Verdict};
use tokio::time::advance;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn late_failure_ejects() {
    let (peers, connector, balance) = balance(&["a"]);
    send(&balance).await.unwrap();
    connector.tickets()[0].report(Verdict::down().because("lost"));
    assert_eq!(up_and_down(&peers), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn late_degraded_outcomes_count_in_a_row() {
    let (peers, connector, balance) = balance(&["a"]);
    send(&balance).await.unwrap();
    let ticket = connector.tickets().remove(0);
    for up in [1, 1, 1, 1, 0] {
        ticket.report(Verdict::degraded());
        assert_eq!(peers.up_count(), up);
    }
}

#[tokio::test(start_paused = true)]
async fn failure_from_before_a_recovery_is_ignored() {
    let (peers, connector, balance) = balance(&["a"]);
    send(&balance).await.unwrap();
    let old = connector.tickets().remove(0);
    connector.script([REFUSE]);
    send(&balance).await.unwrap_err();
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    assert_eq!(up_and_down(&peers), (1, 0));
    assert!(old.is_stale());
    old.report(Verdict::down());
    assert_eq!(up_and_down(&peers), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn success_from_before_an_ejection_is_ignored() {
    let (peers, connector, balance) = balance(&["a"]);
    send(&balance).await.unwrap();
    let old = connector.tickets().remove(0);
    connector.script([REFUSE]);
    send(&balance).await.unwrap_err();
    old.report(Verdict::healthy());
    assert_eq!(up_and_down(&peers), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn probe_ticket_counts_after_recovery() {
    let (peers, connector, balance) = balance(&["a"]);
    connector.script([REFUSE]);
    send(&balance).await.unwrap_err();
    advance(INTERVAL).await;
    connector.tickets();
    send(&balance).await.unwrap();
    let probe = connector.tickets().remove(0);
    assert!(!probe.is_stale());
    probe.report(Verdict::down());
    assert_eq!(up_and_down(&peers), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn ticket_resolves_on_ejection() {
    let (_, connector, balance) = balance(&["a", "b"]);
    connector.tell_all(&["a", "b"], Does::Answer);
    let mut on_a = Vec::new();
    while on_a.len() < 3 {
        if send(&balance).await.unwrap() == "a" {
            on_a.append(&mut connector.tickets());
        }
        connector.tickets();
    }
    let waiting: Vec<_> = on_a
        .iter()
        .cloned()
        .map(|ticket| tokio::spawn(async move { ticket.ejected().await }))
        .collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    on_a[0].report(Verdict::down());
    for task in waiting {
        task.await.unwrap();
    }
    on_a[1].ejected().await;
}

#[tokio::test(start_paused = true)]
async fn late_neutral_and_suspect_are_ignored() {
    let (peers, connector, balance) = balance(&["a"]);
    connector.script([REFUSE]);
    send(&balance).await.unwrap_err();
    advance(INTERVAL).await;
    connector.tickets();
    connector.tell("a", Does::Hang);
    let probe = tokio::spawn(async move { send(&balance).await });
    tokio::task::yield_now().await;
    let ticket = connector.tickets().remove(0);
    ticket.report(Verdict::neutral());
    ticket.report(Verdict::suspect());
    assert_eq!(
        peers.statuses()[0].state,
        evenhand::State::Probing,
        "the probe still holds its permit"
    );
    probe.abort();
}

/// Counts what reaches the latest accrual, which ejects on the first failure.
#[derive(Clone, Default)]
struct Heard(Arc<AtomicU32>);

impl Accrual for Heard {
    fn healthy(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn failed(&self, _: &Verdict) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        true
    }
}

impl Heard {
    /// Ejects by accruals that count anew.
    fn eject(&self) -> Eject {
        let latest = self.clone();
        let eject = Eject::accrual(move || {
            latest.0.store(0, Ordering::SeqCst);
            Box::new(latest.clone())
        });
        eject.recheck_every(INTERVAL)
    }
}

#[tokio::test(start_paused = true)]
async fn late_outcomes_from_before_a_recovery_reach_no_accrual() {
    let (peers, connector, heard) = (peers(&["a"]), ScriptedConnector::new(), Heard::default());
    let balance = layer(&peers).eject(heard.eject()).layer(connector.clone());
    send(&balance).await.unwrap();
    let ticket = connector.tickets().pop().unwrap();
    ticket.report(Verdict::healthy());
    assert_eq!(heard.0.load(Ordering::SeqCst), 2);
    peers.eject("a", INTERVAL).unwrap();
    ticket.report(Verdict::down());
    assert_eq!(heard.0.load(Ordering::SeqCst), 2);
    peers.restore("a").unwrap();
    ticket.report(Verdict::healthy());
    ticket.report(Verdict::down());
    assert_eq!(heard.0.load(Ordering::SeqCst), 2);
    assert_eq!(peers.up_count(), 1);
    send(&balance).await.unwrap();
    assert_eq!(heard.0.load(Ordering::SeqCst), 1, "a fresh one");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_a_probe_brought_back_has_a_fresh_accrual() {
    let (peers, connector, heard) = (peers(&["a"]), ScriptedConnector::new(), Heard::default());
    let balance = layer(&peers).eject(heard.eject()).layer(connector.clone());
    send(&balance).await.unwrap();
    connector.script([REFUSE]);
    send(&balance).await.unwrap_err();
    assert_eq!(heard.0.load(Ordering::SeqCst), 2);
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    assert_eq!((heard.0.load(Ordering::SeqCst), peers.up_count()), (2, 1));
    send(&balance).await.unwrap();
    assert_eq!(heard.0.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_no_ejection_to_a_probes_ticket() {
    let (peers, connector, balance) = balance(&["a"]);
    peers.eject("a", INTERVAL).unwrap();
    advance(INTERVAL).await;
    connector.tell("a", Does::Hang);
    let request = tokio::spawn(async move { send(&balance).await });
    tokio::task::yield_now().await;
    let ticket = connector.tickets().pop().unwrap();
    let drain = tokio::spawn(async move { peers.drain("a").await });
    tokio::task::yield_now().await;
    let ejected = tokio::time::timeout(INTERVAL, ticket.ejected()).await;
    assert!(ejected.is_err());
    request.abort();
    drop(ticket);
    drain.await.unwrap().unwrap();
}
