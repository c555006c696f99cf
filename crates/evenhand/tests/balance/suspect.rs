//! Whether a suspect outcome is the peer's fault: another peer decides.

use std::time::Duration;

use crate::common::{
    Does, INTERVAL, REFUSE, ScriptedConnector, balance, layer, peers, send, up_and_down,
};
use evenhand::{AllDown, Error, Verdict};
use tokio::time::Instant;
use tower::Layer;

const DENIED: Does = Does::Fail(Verdict::suspect().safe().because("access denied"));

#[tokio::test(start_paused = true)]
async fn suspect_is_ejected_if_another_peer_succeeds() {
    let (peers, connector, balance) = balance(&["a", "b", "c"]);
    connector.script([DENIED, Does::Answer]);
    send(&balance).await.unwrap();
    let suspect = connector.attempts().remove(0);
    assert_eq!(up_and_down(&peers), (2, 1));
    let out = peers
        .statuses()
        .into_iter()
        .find(|s| s.next_probe.is_some())
        .unwrap();
    assert_eq!(*out.peer, suspect);
}

#[tokio::test(start_paused = true)]
async fn three_refusals_end_the_request_and_eject_no_peer() {
    let (peers, connector) = (peers(&["a", "b", "c", "d"]), ScriptedConnector::new());
    // It ends however much time is left.
    let waits = AllDown::WaitUpTo(INTERVAL);
    let balance = layer(&peers).all_down(waits).layer(connector.clone());
    let start = Instant::now();
    let first = Does::Fail(Verdict::suspect().safe().because("access denied, first"));
    connector.script([first, DENIED, DENIED]);
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::Inconclusive { .. }), "{error:?}");
    assert_eq!(error.cause().unwrap().to_string(), "access denied, first");
    assert_eq!(connector.attempts().len(), 3);
    assert_eq!(up_and_down(&peers), (4, 0));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn refusals_that_end_a_request_can_be_set() {
    let (peers, connector) = (peers(&["a", "b", "c", "d"]), ScriptedConnector::new());
    let balance = layer(&peers).max_refusals(2).layer(connector.clone());
    connector.script([DENIED; 2]);
    send(&balance).await.unwrap_err();
    assert_eq!(connector.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn third_peer_serves_where_two_refuse() {
    for seed in 0..60 {
        let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
        let balance = layer(&peers).seed(seed).layer(connector.clone());
        connector.tell_all(&["a", "b"], DENIED);
        assert_eq!(send(&balance).await.unwrap(), "c");
        let refused = connector.attempts().len() - 1;
        assert_eq!(up_and_down(&peers), (3 - refused, refused));
    }
}

#[tokio::test(start_paused = true)]
async fn success_of_another_kind_convicts_no_suspect() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    let login = |verdict: Verdict| verdict.of_kind("login");
    let refused = Does::Fail(login(Verdict::suspect().safe()));
    connector.script([refused, Does::Answer]);
    send(&balance).await.unwrap();
    assert_eq!(up_and_down(&peers), (2, 0));
    connector.script([refused, Does::AnswerBadly(login(Verdict::healthy()))]);
    send(&balance).await.unwrap();
    assert_eq!(up_and_down(&peers), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn down_peer_in_between_decides_nothing() {
    let (peers, connector, balance) = balance(&["a", "b", "c"]);
    connector.script([DENIED, REFUSE, Does::Answer]);
    send(&balance).await.unwrap();
    assert_eq!(
        up_and_down(&peers),
        (1, 2),
        "the down peer and the suspect are ejected"
    );
}

#[tokio::test(start_paused = true)]
async fn only_peer_stays_in_as_a_suspect() {
    let (peers, connector, balance) = balance(&["a"]);
    connector.tell("a", DENIED);
    let error = send(&balance).await.unwrap_err();
    assert_eq!(error.cause().unwrap().to_string(), "access denied");
    assert_eq!(up_and_down(&peers), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn suspect_probe_waits_for_another_verdict() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.tell("a", REFUSE);
    while up_and_down(&peers) == (2, 0) {
        send(&balance).await.unwrap();
    }
    tokio::time::advance(crate::common::INTERVAL).await;
    connector.attempts();
    connector.tell("a", DENIED);
    assert_eq!(send(&balance).await.unwrap(), "b");
    assert_eq!(connector.attempts(), ["a", "b"]);
    assert_eq!(send(&balance).await.unwrap(), "b");
    assert_eq!(
        connector.attempts(),
        ["b"],
        "its probe failed, so it waits for the next interval"
    );
}

#[tokio::test(start_paused = true)]
async fn request_does_not_return_to_a_suspect() {
    let (peers, connector, balance) = balance(&["a"]);
    connector.script([Does::Fail(Verdict::suspect().busy()), Does::Answer]);
    send(&balance).await.unwrap_err();
    assert_eq!(connector.attempts().len(), 1);
    assert_eq!(
        up_and_down(&peers),
        (1, 0),
        "it is not ejected without another peer"
    );
}

/// A refusal by a peer that has left does not count for those that have not been asked.
#[tokio::test(start_paused = true)]
async fn peer_that_is_left_is_asked_though_others_refused() {
    let (peers, connector, balance) = balance(&["a", "b", "c"]);
    let refuses = Does::FailAfter(Duration::from_secs(1), Verdict::suspect().safe());
    connector.script([refuses, refuses]);
    let request = tokio::spawn(async move { send(&balance).await });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    peers.remove(&connector.attempts()[0]).unwrap();
    request.await.unwrap().unwrap();
}

/// No request goes to a peer that is drained, so it need not refuse.
#[tokio::test(start_paused = true)]
async fn drained_peer_need_not_refuse() {
    let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
    let waits = AllDown::WaitUpTo(INTERVAL);
    let balance = layer(&peers).all_down(waits).layer(connector.clone());
    peers.drain("c").await.unwrap();
    connector.tell_all(&["a", "b"], DENIED);
    let start = Instant::now();
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::Inconclusive { .. }), "{error:?}");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A response comes before errors.
#[tokio::test(start_paused = true)]
async fn response_that_refuses_is_returned() {
    for seed in 0..10 {
        let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
        let balance = layer(&peers).seed(seed).layer(connector.clone());
        connector.tell("a", DENIED);
        connector.tell_all(&["b", "c"], Does::AnswerBadly(Verdict::suspect().safe()));
        assert_eq!(send(&balance).await.unwrap(), "b");
        assert_eq!(up_and_down(&peers), (3, 0));
    }
}
