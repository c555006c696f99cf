//! Limits of time: of an attempt, and of a request.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use evenhand::{AllDown, BalanceLayer, Cause, Cloned, Error, EventKind, Once, Rules, Verdict};
use tokio::time::{Instant, advance};
use tower::{Layer, Service};

use crate::common::{
    AsTold, Does, Failure, INTERVAL, REFUSE, ScriptedConnector, layer, peers, send,
};

const SECOND: Duration = Duration::from_secs(1);

type Idempotent = BalanceLayer<(), Rules<AsTold>>;

/// Two peers that hang, and a layer whose requests are idempotent.
fn hanging() -> (evenhand::Peers<()>, ScriptedConnector, Idempotent) {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    connector.tell_all(&["a", "b"], Does::Hang);
    let layer = layer(&peers).replay(Cloned::idempotent());
    (peers, connector, layer)
}

/// The peers that an error names, each with what came of it.
fn named(error: &Error<Failure>) -> Vec<(&str, &'static str)> {
    let named = error.tried().iter().map(|tried| {
        let cause = match tried.cause {
            Cause::TimedOut => "timed out",
            Cause::Rejected => "rejected",
            _ => "error",
        };
        (&*tried.peer, cause)
    });
    named.collect()
}

#[tokio::test(start_paused = true)]
async fn abandoned_request_names_the_attempt_in_flight() {
    let (peers, connector, layer) = hanging();
    let mut balance = layer.attempt_timeout(SECOND).layer(connector.clone());
    let mut request = pin!(balance.call(()));
    assert!(
        tokio::time::timeout(SECOND * 3 / 2, request.as_mut())
            .await
            .is_err()
    );
    let error = request.as_mut().abandon();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let mut late = named(&error);
    late.sort_unstable();
    assert_eq!(late, [("a", "timed out"), ("b", "timed out")]);
    assert!(
        error.to_string().contains("no answer by the deadline"),
        "{error}"
    );
    drop(connector.tickets());
    let idle = |status: &evenhand::Status| status.in_flight == 0;
    assert!(peers.statuses().iter().all(idle));
}

#[tokio::test(start_paused = true)]
async fn attempt_that_hangs_ends_and_the_request_goes_on() {
    let (_peers, connector, layer) = hanging();
    let balance = layer.attempt_timeout(SECOND).layer(connector.clone());
    connector.script([Does::Hang, Does::Answer]);
    let start = Instant::now();
    send(&balance).await.unwrap();
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!(connector.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_time_of_its_own() {
    let (_peers, connector, layer) = hanging();
    let balance = layer.attempt_timeout(SECOND).layer(connector.clone());
    let start = Instant::now();
    let error = send(&balance).await.unwrap_err();
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert!(matches!(error, Error::Exhausted { .. }), "{error}");
    assert!(error.is_timeout());
    let mut named = named(&error);
    named.sort_unstable();
    assert_eq!(named, [("a", "timed out"), ("b", "timed out")]);
}

#[tokio::test(start_paused = true)]
async fn request_that_is_not_idempotent_ends_with_the_attempt_that_timed_out() {
    let (_peers, connector, layer) = hanging();
    let balance = layer
        .replay(Cloned::<bool>::default())
        .attempt_timeout(SECOND)
        .layer(connector.clone());
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    assert_eq!(connector.attempts().len(), 1);
    assert!(error.is_timeout());
}

#[tokio::test(start_paused = true)]
async fn verdict_of_a_timeout_can_be_set() {
    let (peers, connector, layer) = hanging();
    let balance = layer
        .replay(Cloned::<bool>::default())
        .attempt_timeout(SECOND)
        .timeout_verdict(Verdict::down().safe().because("hangs"))
        .layer(connector.clone());
    let mut events = peers.subscribe();
    let error = send(&balance).await.unwrap_err();
    assert_eq!(error.tried().len(), 2);
    assert_eq!(peers.up_count(), 0);
    let event = events.try_next().unwrap().unwrap();
    assert!(
        matches!(
            event.kind,
            EventKind::Ejected {
                reason: Some("hangs"),
                ..
            }
        ),
        "{event}"
    );
}

#[tokio::test(start_paused = true)]
async fn timeouts_count_towards_ejection_by_default() {
    let (peers, connector, layer) = hanging();
    let balance = layer.attempt_timeout(SECOND).layer(connector.clone());
    for _ in 0..evenhand::DEFAULT_DEGRADED_LIMIT {
        assert_eq!(peers.up_count(), 2);
        send(&balance).await.unwrap_err();
    }
    assert_eq!(peers.up_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn attempt_that_ends_in_time_does_not_shorten_the_next() {
    let (_peers, connector, layer) = hanging();
    let balance = layer.attempt_timeout(SECOND).layer(connector.clone());
    let most = SECOND - Duration::from_millis(1);
    connector.script([
        Does::FailAfter(most, Verdict::down().safe()),
        Does::AnswerAfter(most),
    ]);
    send(&balance).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn probe_that_hangs_ends_and_its_peer_stays_out() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .attempt_timeout(SECOND)
        .layer(connector.clone());
    connector.script([REFUSE, Does::Hang]);
    send(&balance).await.unwrap_err();
    advance(INTERVAL).await;
    let mut events = peers.subscribe();
    send(&balance).await.unwrap_err();
    let mut kinds = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        kinds.push(event.kind);
    }
    assert!(
        matches!(
            kinds[..],
            [
                EventKind::ProbeStarted,
                EventKind::ProbeFailed {
                    reason: Some("timed out"),
                    ..
                }
            ]
        ),
        "{kinds:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn deadline_ends_a_request_and_names_the_peer_that_has_not_answered() {
    let (peers, connector, layer) = hanging();
    let balance = layer.deadline(SECOND).layer(connector.clone());
    connector.script([REFUSE, Does::Hang]);
    let start = Instant::now();
    let error = send(&balance).await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND);
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(error.is_timeout());
    let attempts = connector.attempts();
    assert_eq!(
        named(&error),
        [(&*attempts[0], "error"), (&*attempts[1], "timed out")]
    );
    assert_eq!(
        peers.up_count(),
        1,
        "nothing is held against the peer that was asked last"
    );
    drop(connector.tickets());
    assert!(peers.statuses().iter().all(|status| status.in_flight == 0));
}

#[tokio::test(start_paused = true)]
async fn deadline_covers_all_attempts() {
    let (_peers, connector, layer) = hanging();
    let balance = layer
        .attempt_timeout(SECOND)
        .deadline(SECOND + SECOND / 2)
        .layer(connector.clone());
    let start = Instant::now();
    let error = send(&balance).await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND + SECOND / 2);
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(error.tried().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn deadline_ends_a_wait_for_peers() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .all_down(AllDown::WaitUpTo(INTERVAL))
        .deadline(SECOND)
        .layer(connector.clone());
    peers.eject("a", INTERVAL).unwrap();
    let start = Instant::now();
    let error = send(&balance).await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND);
    assert!(
        matches!(
            error,
            Error::TimedOut {
                next_due: Some(_),
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn deadline_ends_a_request_whose_connector_is_not_ready() {
    let peers = peers(&["a"]);
    let mut balance = layer(&peers)
        .deadline(SECOND)
        .layer(NeverReady(ScriptedConnector::new()));
    let start = Instant::now();
    let error = balance.call("request").await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND);
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(error.tried().is_empty());
}

/// A connector that is never ready, and does not wake.
#[derive(Clone)]
struct NeverReady(ScriptedConnector);

impl Service<evenhand::Attempt<(), &'static str>> for NeverReady {
    type Response = crate::common::Answer;
    type Error = Failure;
    type Future = <ScriptedConnector as Service<evenhand::Attempt<(), &'static str>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Pending
    }

    fn call(&mut self, attempt: evenhand::Attempt<(), &'static str>) -> Self::Future {
        self.0.call(attempt)
    }
}

#[tokio::test(start_paused = true)]
async fn request_whose_deadline_has_passed_asks_no_other_peer() {
    let (_peers, connector, layer) = hanging();
    let balance = layer.deadline(SECOND).layer(connector.clone());
    // Late, and its end comes with the deadline.
    connector.script([
        Does::FailAfter(SECOND, Verdict::down().safe()),
        Does::Answer,
    ]);
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(connector.attempts().len(), 1);
    assert_eq!(error.tried().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rejected_response_is_better_than_a_deadline() {
    let (_peers, connector, layer) = hanging();
    let balance = layer.deadline(SECOND).layer(connector.clone());
    connector.script([Does::AnswerBadly(Verdict::neutral().safe()), Does::Hang]);
    let peer = send(&balance).await.unwrap();
    assert_eq!(peer, connector.attempts()[0]);
}

#[tokio::test(start_paused = true)]
async fn deadline_of_a_hedged_request_names_the_peers_of_both_legs() {
    let (peers, connector, layer) = hanging();
    let mut hedge = layer
        .deadline(SECOND)
        .hedge_after(SECOND / 2)
        .layer(connector.clone());
    let start = Instant::now();
    let error = hedge.call("request").await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND);
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let mut named = named(&error);
    named.sort_unstable();
    assert_eq!(named, [("a", "timed out"), ("b", "timed out")]);
    drop(connector.tickets());
    assert!(peers.statuses().iter().all(|status| status.in_flight == 0));
}

#[test]
fn request_that_never_waits_needs_no_timer() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let mut balance = layer(&peers)
        .replay(Once)
        .attempt_timeout(SECOND)
        .deadline(SECOND)
        .layer(connector.clone());
    // There is no runtime here, so a timer could not be made.
    let mut cx = Context::from_waker(Waker::noop());
    let answer = pin!(balance.call("request")).poll(&mut cx);
    assert!(matches!(answer, Poll::Ready(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn outcome_that_comes_with_the_end_of_the_time_counts() {
    let (_peers, connector, layer) = hanging();
    let balance = layer
        .attempt_timeout(SECOND)
        .deadline(SECOND)
        .layer(connector.clone());
    connector.script([Does::AnswerAfter(SECOND)]);
    send(&balance).await.unwrap();
}
