//! Outcomes that are reported after the response.

use crate::common::{Does, INTERVAL, REFUSE, balance, send, up_and_down};
use evenhand::Verdict;
use tokio::time::advance;

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
