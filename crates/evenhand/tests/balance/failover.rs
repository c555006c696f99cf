//! Which outcomes are retried, and on which peers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Does, REFUSE, ScriptedConnector, balance, layer, peers, send, up_and_down};
use evenhand::{AllDown, Attempt, BalanceLayer, Cloned, Error, Once, Verdict};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn safe_request_succeeds_while_a_peer_is_up() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let (peers, connector, balance) = balance(&names);
    connector.tell_all(&names[1..], REFUSE);
    assert_eq!(send(&balance).await.unwrap(), "a");
    for _ in 0..50 {
        assert_eq!(send(&balance).await.unwrap(), "a");
    }
    assert!(up_and_down(&peers).0 >= 1);
}

#[tokio::test(start_paused = true)]
async fn no_peer_is_tried_twice_for_one_request() {
    let names = ["a", "b", "c", "d", "e"];
    let (_, connector, balance) = balance(&names);
    // The peers are not ejected, so only the request's history excludes them.
    connector.tell_all(&names, Does::Fail(Verdict::neutral().safe()));
    let error = send(&balance).await.unwrap_err();
    let mut attempts = connector.attempts();
    attempts.sort();
    assert_eq!(attempts, names);
    let tried: Vec<&str> = error.tried().iter().map(|tried| &*tried.peer).collect();
    assert_eq!(tried.len(), 5, "{tried:?}");
}

/// Sends a request to these peers: "full" accepts on the second pass only, "gone" refuses, and
/// "overloaded" is always busy. Returns the attempts, each with whether it was on the second pass.
async fn ask_for_room(
    names: &[&'static str],
    all_down: AllDown,
) -> (Result<(), Error<&'static str>>, Vec<(String, bool)>) {
    let asked = Arc::<Mutex<Vec<(String, bool)>>>::default();
    let told = asked.clone();
    let connector = service_fn(move |attempt: Attempt<(), ()>| {
        let (name, comes_back) = (attempt.peer.name().to_owned(), attempt.is_second_pass());
        told.lock().unwrap().push((name.clone(), comes_back));
        std::future::ready(match &*name {
            "full" if comes_back => Ok(()),
            "gone" => Err("refused"),
            _ => Err("no room"),
        })
    });
    let classify = |outcome: Result<&(), &&str>| match outcome {
        Ok(()) => Verdict::healthy(),
        Err(&"refused") => Verdict::down().safe(),
        Err(_) => Verdict::neutral().busy(),
    };
    let balance = BalanceLayer::new(peers(names))
        .classify(classify)
        .all_down(all_down)
        .layer(connector);
    let outcome = balance.oneshot(()).await;
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    (outcome, asked)
}

#[tokio::test(start_paused = true)]
async fn request_returns_to_a_busy_peer_if_no_other_works() {
    for all_down in [AllDown::Fail, AllDown::WaitUpTo(MINUTE)] {
        let start = Instant::now();
        for _ in 0..20 {
            let (outcome, asked) = ask_for_room(&["full", "gone"], all_down).await;
            outcome.unwrap();
            assert_eq!(asked.len(), 3, "{asked:?}");
            assert_eq!(asked[2], ("full".to_owned(), true));
            assert!(asked[..2].iter().all(|(_, comes_back)| !comes_back));
        }
        assert_eq!(
            start.elapsed(),
            Duration::ZERO,
            "it does not wait for a recovery"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn request_returns_to_a_busy_peer_once() {
    let (outcome, asked) = ask_for_room(&["overloaded", "gone"], AllDown::Fail).await;
    assert!(matches!(outcome, Err(Error::Exhausted { .. })));
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[2], ("overloaded".to_owned(), true));
}

#[tokio::test(start_paused = true)]
async fn unretryable_outcome_goes_to_no_other_peer() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.script([Does::Fail(Verdict::down().because("lost in commit"))]);
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    assert_eq!(connector.attempts().len(), 1);
    assert_eq!(
        up_and_down(&peers),
        (1, 1),
        "the verdict on the peer counts"
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_outcome_is_retried_only_if_idempotent() {
    const LOST: Does = Does::Fail(Verdict::neutral().if_idempotent());
    let peers = peers(&["a", "b"]);
    for (replay, attempts) in [(Cloned::default(), 1), (Cloned::idempotent(), 2)] {
        let connector = ScriptedConnector::new();
        let balance = layer(&peers).replay(replay).layer(connector.clone());
        connector.script([LOST, Does::Answer]);
        assert_eq!(send(&balance).await.is_ok(), attempts == 2);
        assert_eq!(connector.attempts().len(), attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_cannot_be_copied_gets_one_attempt() {
    let peers = peers(&["a", "b"]);
    let connector = ScriptedConnector::new();
    let balance = layer(&peers).replay(Once).layer(connector.clone());
    connector.script([REFUSE]);
    let error = send(&balance).await.unwrap_err();
    assert_eq!(error.tried().len(), 1);
    send(&balance).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rejected_response_is_kept_as_a_last_result() {
    let busy = Verdict::degraded().safe().because("busy");
    let (_, connector, balance) = balance(&["a", "b"]);
    connector.script([Does::AnswerBadly(busy), Does::Answer]);
    send(&balance).await.unwrap();
    assert_eq!(connector.attempts().len(), 2);

    connector.script([Does::AnswerBadly(busy), Does::AnswerBadly(busy)]);
    let last = send(&balance).await.unwrap();
    assert_eq!(
        connector.attempts()[1],
        last,
        "with no peer left the last response is returned"
    );
}

#[tokio::test(start_paused = true)]
async fn error_names_peers_causes_and_the_next_due_time() {
    let (_, connector, balance) = balance(&["a", "b"]);
    connector.script([REFUSE, Does::Fail(Verdict::down().safe().because("reset"))]);
    let error = send(&balance).await.unwrap_err();
    let attempts = connector.attempts();
    let expected = format!(
        "no peer is left to try (the next peer is due in 30.0s): {}: refused; {}: reset",
        attempts[0], attempts[1]
    );
    assert_eq!(error.to_string(), expected);
    let none = send(&balance).await.unwrap_err();
    assert_eq!(
        none.to_string(),
        "all peers are down (the next peer is due in 30.0s)"
    );
}

#[tokio::test]
async fn empty_set_fails_with_no_peers() {
    let (_, _, balance) = balance(&[]);
    assert!(matches!(send(&balance).await.unwrap_err(), Error::NoPeers));
}

#[tokio::test]
async fn connector_that_fails_to_get_ready_ejects_no_peer() {
    let peers = peers(&["a"]);
    let semaphore = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    semaphore.close();
    let balance = layer(&peers).layer(ScriptedConnector::ready_by(semaphore));
    assert!(matches!(
        send(&balance).await.unwrap_err(),
        Error::NotReady(_)
    ));
    assert_eq!(up_and_down(&peers), (1, 0));
}

#[tokio::test]
async fn request_waits_until_the_connector_is_ready() {
    let peers = peers(&["a"]);
    let semaphore = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let connector = ScriptedConnector::ready_by(semaphore.clone());
    let balance = layer(&peers).layer(connector.clone());
    let request = tokio::spawn({
        let balance = balance.clone();
        async move { send(&balance).await }
    });
    tokio::task::yield_now().await;
    assert!(connector.attempts().is_empty());
    semaphore.add_permits(1);
    assert_eq!(request.await.unwrap().unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn retries_from_a_dead_peer_spread_evenly() {
    let names = ["dead", "a", "b", "c"];
    let mut served = [0_u32; 3];
    for seed in 0..3000 {
        let peers = peers(&names);
        let connector = ScriptedConnector::new();
        connector.tell("dead", REFUSE);
        let balance = layer(&peers).seed(seed).layer(connector.clone());
        let by = send(&balance).await.unwrap();
        served[names.iter().position(|name| *name == by).unwrap() - 1] += 1;
    }
    let fair = 1000.0;
    let chi: f64 = served
        .iter()
        .map(|&n| (f64::from(n) - fair).powi(2) / fair)
        .sum();
    assert!(
        chi < 13.8,
        "the dead peer's share is spread evenly: {served:?}"
    );
}
