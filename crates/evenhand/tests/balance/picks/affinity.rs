//! Affinity by rendezvous hashing: which keys move, and how even they are.

use std::time::Duration;

use evenhand::{
    Affinity, AnyErrorIsDown, Balance, BalanceLayer, Cloned, Peers, PickBy, Rules, Verdict,
};
use tokio::time::advance;
use tower::{Layer, ServiceExt};

use super::{Keyed, Number, assert_shares, send, shares};
use crate::common::{self, REFUSE, ScriptedConnector};

const KEYS: u64 = 100_000;
const HOUR: Duration = Duration::from_secs(3600);

type ByKey = Rules<AnyErrorIsDown, Cloned, PickBy<fn(&Keyed) -> u64, Affinity>>;
type Sticky = Balance<Number, usize, ByKey>;

fn peers(n: usize) -> Peers<usize> {
    Peers::new((0..n).map(|number| (format!("peer{number}"), number))).unwrap()
}

fn layer(peers: &Peers<usize>) -> BalanceLayer<usize, ByKey> {
    let key: fn(&Keyed) -> u64 = |request| request.0;
    BalanceLayer::new(peers.clone())
        .pick_by(key, Affinity)
        .seed(3)
}

fn sticky(peers: &Peers<usize>) -> Sticky {
    layer(peers).layer(Number)
}

fn homes(balance: &mut Sticky) -> Vec<usize> {
    (0..KEYS).map(|key| send(balance, key).unwrap()).collect()
}

#[test]
fn keys_have_their_peer_in_every_client() {
    let names = ["peer0", "peer1", "peer2", "peer3", "peer4"];
    let one = peers(5);
    let other = Peers::new((0..5).rev().map(|number| (names[number], number))).unwrap();
    assert_eq!(homes(&mut sticky(&one)), homes(&mut sticky(&other)));
    // As every earlier and later build has them.
    let first: Vec<usize> = homes(&mut sticky(&one)).into_iter().take(12).collect();
    assert_eq!(first, [0, 0, 1, 3, 4, 1, 2, 4, 0, 3, 2, 4]);
}

#[test]
fn keys_are_spread_evenly() {
    for n in [2, 3, 10, 100] {
        let shares = shares(&mut sticky(&peers(n)), n, 0..KEYS);
        assert_shares(&shares, &vec![1.0 / n as f64; n], KEYS as u32, "keys");
    }
}

#[test]
fn keys_of_a_lost_peer_move_alone_and_evenly() {
    let n = 10;
    let peers = peers(n);
    let mut balance = sticky(&peers);
    let before = homes(&mut balance);
    peers.eject("peer4", HOUR).unwrap();
    let after = homes(&mut balance);
    let mut moved = vec![0_u32; n];
    for (before, after) in before.iter().zip(&after) {
        match before {
            4 => moved[*after] += 1,
            _ => assert_eq!(before, after, "a key of another peer moved"),
        }
    }
    let total: u32 = moved.iter().sum();
    let moved: Vec<f64> = moved
        .iter()
        .map(|count| f64::from(*count) / f64::from(total))
        .collect();
    let mut expected = vec![1.0 / 9.0; n];
    expected[4] = 0.0;
    assert_shares(&moved, &expected, total, "the lost peer's keys");
    peers.restore("peer4").unwrap();
    assert_eq!(homes(&mut balance), before, "they come back with it");
    // The same as if it had never been there.
    peers.remove("peer4").unwrap();
    assert_eq!(homes(&mut balance), after);
}

#[test]
fn weights_hold_and_move_only_the_keys_that_they_must() {
    let peers = peers(4);
    let mut balance = sticky(&peers);
    let before = homes(&mut balance);
    peers.set_weight("peer1", 3).unwrap();
    let after = homes(&mut balance);
    let stray = |(before, after): (&usize, &usize)| before != after && *after != 1;
    assert!(
        !before.iter().zip(&after).any(stray),
        "a key moved elsewhere"
    );
    let shares_now = shares(&mut balance, 4, 0..KEYS);
    let expected = [1.0 / 6.0, 0.5, 1.0 / 6.0, 1.0 / 6.0];
    assert_shares(&shares_now, &expected, KEYS as u32, "weight 3");
    peers.set_weight("peer1", 0).unwrap();
    let shares_now = shares(&mut balance, 4, 0..KEYS);
    let expected = [1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0];
    assert_shares(&shares_now, &expected, KEYS as u32, "weight 0");
}

#[tokio::test(start_paused = true)]
async fn request_goes_on_to_its_keys_next_peer() {
    let names = ["a", "b", "c", "d"];
    let (peers, connector) = (common::peers(&names), ScriptedConnector::new());
    let degraded = common::Does::Fail(Verdict::degraded().safe().because("overloaded"));
    let balance = common::layer(&peers)
        .pick_by(|request: &Keyed| request.0, Affinity)
        .layer(connector.clone());
    let order = async || {
        // No peer is ejected by this, so each request meets all.
        connector.tell_all(&names, degraded);
        let outcome = balance.clone().oneshot(Keyed(7)).await;
        assert!(outcome.is_err());
        connector.attempts()
    };
    let first = order().await;
    assert_eq!(first.len(), 4, "{first:?}");
    assert_eq!(order().await, first, "the order is the key's own");
    // While the first is out, the second serves it.
    connector.tell_all(&names, common::Does::Answer);
    connector.tell(&first[0], REFUSE);
    let answer = balance.clone().oneshot(Keyed(7)).await.unwrap();
    assert_eq!(answer.peer, first[1]);
    connector.attempts();
    balance.clone().oneshot(Keyed(7)).await.unwrap();
    assert_eq!(connector.attempts(), [first[1].clone()]);
}

#[tokio::test(start_paused = true)]
async fn returned_peer_takes_a_growing_share_of_its_keys() {
    let peers = peers(3);
    let window = Duration::from_secs(100);
    let mut balance = layer(&peers).slow_start(window).layer(Number);
    let before = homes(&mut balance);
    peers.eject("peer1", window).unwrap();
    peers.restore("peer1").unwrap();
    for (percent, waits) in [(5, 0), (50, 50), (100, 50)] {
        advance(window * waits / 100).await;
        let now = homes(&mut balance);
        let of_peer = before.iter().zip(&now).filter(|(before, _)| **before == 1);
        let back: Vec<bool> = of_peer.map(|(_, now)| *now == 1).collect();
        let share = back.iter().filter(|is_back| **is_back).count() as f64 / back.len() as f64;
        let expected = f64::from(percent) / 100.0;
        assert!((share - expected).abs() < 0.02, "{share} at {percent} %");
        let others_moved = before.iter().zip(&now).any(|(b, n)| b != n && *b != 1);
        assert!(!others_moved, "a key of another peer moved");
    }
}
