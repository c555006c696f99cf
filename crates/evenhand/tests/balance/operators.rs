//! What operators do to a whole set, and to a peer that is to leave for good.

use std::time::Duration;

use evenhand::{AllDown, Error, Peers, PeersError, State};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tower::Layer;

use crate::common::{Does, ScriptedConnector, balance, layer, peers, send};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn peer_is_found_by_its_name() {
    let peers = Peers::new([("a", 1), ("b", 2)]).unwrap();
    assert_eq!(peers.get("b").map(|peer| *peer), Some(2));
    assert!(peers.get("c").is_none());
}

#[tokio::test(start_paused = true)]
async fn drain_of_all_takes_all_out_at_once_and_waits_for_every_attempt() {
    let (peers, connector, balance) = balance(&["a", "b", "c"]);
    connector.script([Does::AnswerAfter(SECOND), Does::AnswerAfter(3 * SECOND)]);
    let requests = [balance.clone(), balance.clone()]
        .map(|balance| tokio::spawn(async move { send(&balance).await }));
    tokio::task::yield_now().await;
    drop(connector.tickets());
    let start = Instant::now();
    let mut drained = Box::pin(peers.drain_all());
    assert!(drained.as_mut().now_or_never().is_none());
    assert!(peers.iter().all(|peer| peer.state() == State::Draining));
    drained.await;
    assert_eq!(start.elapsed(), 3 * SECOND);
    for request in requests {
        request.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn request_to_a_drained_set_says_so() {
    let (peers, _, balance) = balance(&["a", "b"]);
    peers.drain_all().await;
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::Drained), "{error}");
    assert_eq!(error.to_string(), "every peer is being drained");
    peers.eject("a", SECOND).unwrap();
    let error = send(&balance).await.unwrap_err();
    assert!(matches!(error, Error::Exhausted { .. }), "{error}");
    assert_eq!(
        error.to_string().split(" (").next(),
        Some("all peers are down")
    );
}

#[tokio::test(start_paused = true)]
async fn request_that_waits_goes_to_a_peer_that_is_restored_after_a_drain() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .all_down(AllDown::WaitUpTo(10 * SECOND))
        .layer(connector);
    peers.drain_all().await;
    let request = tokio::spawn(async move { send(&balance).await });
    sleep(SECOND).await;
    peers.restore("a").unwrap();
    assert_eq!(request.await.unwrap().unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn peer_is_removed_once_its_last_attempt_has_ended() {
    let (peers, connector, balance) = balance(&["a"]);
    connector.script([Does::AnswerAfter(SECOND)]);
    let request = tokio::spawn(async move { send(&balance).await });
    tokio::task::yield_now().await;
    drop(connector.tickets());
    let mut removed = Box::pin(peers.drain_and_remove("a"));
    assert!(removed.as_mut().now_or_never().is_none());
    assert_eq!(peers.len(), 1);
    removed.await.unwrap();
    assert!(peers.is_empty());
    request.await.unwrap().unwrap();
    let unknown = peers.drain_and_remove("a").await;
    assert_eq!(unknown, Err(PeersError::Unknown("a".into())));
}

#[tokio::test(start_paused = true)]
async fn peer_that_is_restored_during_its_drain_stays() {
    let (peers, connector, balance) = balance(&["a"]);
    connector.tell("a", Does::Hang);
    let request = tokio::spawn(async move { send(&balance).await });
    tokio::task::yield_now().await;
    let mut removed = Box::pin(peers.drain_and_remove("a"));
    assert!(removed.as_mut().now_or_never().is_none());
    peers.restore("a").unwrap();
    removed.await.unwrap();
    assert_eq!(peers.statuses()[0].state, State::Up);
    request.abort();
}

#[tokio::test]
async fn peers_that_cannot_be_compared_are_replaced_by_a_rule() {
    struct Target(u8);
    let peers = Peers::new([("a", Target(1)), ("b", Target(2)), ("c", Target(3))]).unwrap();
    peers.set_weight("a", 7).unwrap();
    let wanted = [("a", Target(1)), ("b", Target(4))];
    peers
        .replace_all_by(wanted, |old, new| old.0 == new.0)
        .unwrap();
    let found = peers.statuses().into_iter();
    let found: Vec<_> = found.map(|status| (status.peer, status.weight)).collect();
    assert_eq!(found, [("a".into(), 7), ("b".into(), 1)]);
    assert_eq!(peers.get("b").unwrap().0, 4);
}
