//! The time that is left is used: a request goes round until its deadline.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Does, REFUSE, ScriptedConnector, layer, peers, send, up_and_down};
use evenhand::{AllDown, Error, Verdict};
use tokio::time::Instant;
use tower::Layer;

const FULL: Does = Does::Fail(Verdict::neutral().busy().because("full"));
const WAITS: AllDown = AllDown::WaitUpTo(Duration::from_secs(10));

/// Peers that are up and had no room are asked again.
#[tokio::test(start_paused = true)]
async fn peer_that_was_full_once_is_asked_again() {
    for dead in [&["a"][..], &[]] {
        let names = [dead, &["b"]].concat();
        let (peers, connector) = (peers(&names), ScriptedConnector::new());
        connector.tell_all(dead, REFUSE);
        connector.tell("b", FULL);
        let balance = layer(&peers).all_down(WAITS).layer(connector.clone());
        let start = Instant::now();
        let request = tokio::spawn(async move { send(&balance).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        connector.tell("b", Does::Answer);
        assert_eq!(request.await.unwrap().unwrap(), "b");
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_to_a_second() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    connector.tell("a", FULL);
    let waits = AllDown::WaitUpTo(Duration::from_secs(60));
    let balance = layer(&peers).all_down(waits).layer(connector.clone());
    let start = Instant::now();
    let error = send(&balance).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    // 10 ms to 640 ms and then 1 s, each between half and the whole.
    let attempts = connector.attempts().len();
    assert!((60..=130).contains(&attempts), "{attempts}");
    assert_eq!(error.tried().len(), 1);
    assert_eq!(error.tried()[0].attempts as usize, attempts);
}

/// A round that takes long does not overrun the deadline, but for the attempt that is in flight.
#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (peers, connector) = (peers(&names), ScriptedConnector::new());
    let second = Duration::from_secs(1);
    connector.tell_all(&names, Does::FailAfter(second, Verdict::neutral().safe()));
    let balance = layer(&peers).all_down(WAITS).layer(connector.clone());
    let start = Instant::now();
    send(&balance).await.unwrap_err();
    // The wait began after the first round.
    let deadline = 8 * second + Duration::from_secs(10);
    assert!(
        start.elapsed() <= deadline + second,
        "{:?}",
        start.elapsed()
    );
    assert!(start.elapsed() >= deadline, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn rejected_response_is_returned_at_the_deadline() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    connector.tell_all(&["a", "b"], Does::AnswerBadly(Verdict::neutral().safe()));
    let balance = layer(&peers).all_down(WAITS).layer(connector);
    let start = Instant::now();
    send(&balance).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn outcome_that_no_retry_can_mend_ends_the_request() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    connector.script([
        FULL,
        FULL,
        Does::Fail(Verdict::healthy().because("no such table")),
    ]);
    let balance = layer(&peers).all_down(WAITS).layer(connector.clone());
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    assert_eq!(error.cause().unwrap().to_string(), "no such table");
    assert_eq!(connector.attempts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn attempts_can_be_limited() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    connector.tell_all(&["a", "b"], FULL);
    for limit in [1, 2, 5] {
        let layer = layer(&peers).all_down(WAITS).max_attempts(limit);
        let balance = layer.layer(connector.clone());
        let error = send(&balance).await.unwrap_err();
        assert!(matches!(error, Error::Exhausted { .. }), "{error:?}");
        assert_eq!(connector.attempts().len(), limit as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn budget_is_asked_at_retries_only() {
    let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
    let left = Arc::new(AtomicU32::new(2));
    let withdraw = {
        let left = left.clone();
        let less = |left: u32| left.checked_sub(1);
        move || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
        }
    };
    let balance = layer(&peers)
        .all_down(WAITS)
        .retry_budget(withdraw)
        .layer(connector.clone());
    send(&balance).await.unwrap();
    assert_eq!(left.load(Ordering::Relaxed), 2);
    connector.attempts();
    connector.tell_all(&["a", "b", "c"], FULL);
    send(&balance).await.unwrap_err();
    assert_eq!(connector.attempts().len(), 3, "two retries");

    left.store(1, Ordering::Relaxed);
    let withdraw = {
        let left = left.clone();
        move || left.fetch_sub(1, Ordering::Relaxed) > 0
    };
    let layer = layer(&peers).max_attempts(1).retry_budget(withdraw);
    send(&layer.layer(connector)).await.unwrap_err();
    assert_eq!(left.load(Ordering::Relaxed), 1, "no retry follows");
}

/// The request has asked its share of the peers when another one comes.
#[tokio::test(start_paused = true)]
async fn peer_that_comes_during_an_attempt_is_asked_at_once() {
    let full = Does::FailAfter(Duration::from_millis(5), Verdict::neutral().safe());
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    connector.tell_all(&["a", "b"], full);
    let balance = layer(&peers).all_down(WAITS).layer(connector.clone());
    let request = tokio::spawn(async move { send(&balance).await });
    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(7)).await;
    // It is asked at once, and then, 5 ms later, the other one.
    peers.add("b", ()).unwrap();
    tokio::time::sleep(Duration::from_millis(7)).await;
    assert_eq!(connector.attempts().len(), 3);
    peers.add("c", ()).unwrap();
    assert_eq!(request.await.unwrap().unwrap(), "c");
    assert_eq!(start.elapsed(), Duration::from_millis(17));
}

/// It must not hold its thread.
#[tokio::test(start_paused = true)]
async fn request_over_many_peers_yields() {
    let names: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (peers, connector) = (peers(&names), ScriptedConnector::new());
    connector.tell_all(&names, REFUSE);
    let balance = layer(&peers).layer(connector.clone());
    let (mut polls, mut request) = (0, pin!(send(&balance)));
    let outcome = poll_fn(|cx| {
        polls += 1;
        request.as_mut().poll(cx)
    });
    let error = outcome.await.unwrap_err();
    assert!(polls >= 1000 / 32, "{polls}");
    assert_eq!(error.tried().len(), 1000);
    assert_eq!(up_and_down(&peers), (0, 1000));
}

/// No peer is asked twice in a round, and each is asked.
#[tokio::test(start_paused = true)]
async fn request_over_many_full_peers_asks_each_once() {
    let names: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (peers, connector) = (peers(&names), ScriptedConnector::new());
    connector.tell_all(&names, Does::Fail(Verdict::neutral().safe()));
    let balance = layer(&peers).layer(connector.clone());
    send(&balance).await.unwrap_err();
    let mut attempts = connector.attempts();
    assert_eq!(attempts.len(), 300);
    attempts.sort();
    attempts.dedup();
    assert_eq!(attempts.len(), 300);
    assert_eq!(up_and_down(&peers), (300, 0));
}
