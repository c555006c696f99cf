//! A request whose outcome stays unknown reaches few peers, whatever becomes of it.

use std::collections::HashSet;
use std::time::Duration;

use crate::common::{AsTold, Does, ScriptedConnector, peers};
use evenhand::{
    ActiveChecks, AllDown, Balance, BalanceLayer, Cloned, Peer, Peers, Probe, Rules, Verdict,
};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

type Always = fn(&&'static str) -> bool;
type Balanced = Balance<ScriptedConnector, (), Rules<AsTold, Cloned<Always>>>;

const ALWAYS: Always = |_| true;

const LOST: Does = Does::Fail(Verdict::down().if_idempotent().because("lost"));
const RESET: Does = Does::Fail(Verdict::degraded().if_idempotent().because("reset"));

/// How peers that are up and out prove themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Proof {
    None,
    Probes,
    Checks,
}

fn balance(names: &[&str], proof: Proof) -> (Peers<()>, ScriptedConnector, Balanced) {
    let (peers, connector) = (peers(names), ScriptedConnector::new());
    let mut layer = BalanceLayer::new(peers.clone())
        .classify(AsTold)
        .replay(Cloned::idempotent_if(ALWAYS))
        .all_down(AllDown::WaitUpTo(Duration::from_secs(30)))
        .seed(3);
    let second = Duration::from_secs(1);
    let probe = Probe::new(service_fn(async |_: Peer<()>| Ok::<(), ()>(())), second);
    layer = match proof {
        Proof::None => layer,
        Proof::Probes => layer.probe(probe),
        Proof::Checks => layer.probe(probe.active_checks(ActiveChecks::every(second))),
    };
    (peers, connector.clone(), layer.layer(connector))
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("p{i}")).collect()
}

#[tokio::test(start_paused = true)]
async fn poisonous_request_ejects_three_peers_of_fifty() {
    for proof in [Proof::None, Proof::Probes, Proof::Checks] {
        let names = names(50);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (peers, connector, balance) = balance(&names, proof);
        connector.tell_all(&names, LOST);
        let mut request = tokio::spawn(balance.oneshot("poison"));
        let start = Instant::now();
        let mut least = 50;
        while start.elapsed() < Duration::from_secs(29) {
            let _ = tokio::time::timeout(Duration::from_millis(100), &mut request).await;
            least = least.min(peers.up_count());
        }
        request.await.unwrap().unwrap_err();
        let reached: HashSet<String> = connector.attempts().into_iter().collect();
        assert_eq!(reached.len(), 3, "{proof:?}");
        assert!(least >= 47, "{proof:?}: {least} up");
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_each_peer_dropped_once_is_done_in_the_next_round() {
    for proof in [Proof::None, Proof::Probes, Proof::Checks] {
        for does in [LOST, RESET] {
            let (_, connector, balance) = balance(&["a", "b", "c"], proof);
            connector.script([does; 3]);
            let start = Instant::now();
            balance.oneshot("work").await.unwrap();
            assert_eq!(connector.attempts().len(), 4);
            let took = start.elapsed();
            assert!(
                took < Duration::from_secs(3),
                "{proof:?}, {does:?}: {took:?}"
            );
        }
    }
}

/// With checks, a peer that stays up is not asked again before it has passed one.
#[tokio::test(start_paused = true)]
async fn peer_proves_itself_before_it_is_asked_again() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let checks = ActiveChecks::every(Duration::from_secs(1));
    let probe = service_fn(async |_: Peer<()>| std::future::pending::<Result<(), ()>>().await);
    let balance = BalanceLayer::new(peers)
        .classify(AsTold)
        .replay(Cloned::idempotent_if(ALWAYS))
        .all_down(AllDown::WaitUpTo(Duration::from_secs(10)))
        .probe(Probe::new(probe, Duration::from_secs(60)).active_checks(checks))
        .layer(connector.clone());
    connector.script([RESET]);
    balance.oneshot("work").await.unwrap_err();
    assert_eq!(connector.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn peers_of_unknown_outcome_can_be_set() {
    let names = names(10);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (peers, connector) = (peers(&names), ScriptedConnector::new());
    let balance = BalanceLayer::new(peers)
        .classify(AsTold)
        .replay(Cloned::idempotent_if(ALWAYS))
        .max_unknown(5)
        .layer(connector.clone());
    connector.tell_all(&names, LOST);
    balance.oneshot("poison").await.unwrap_err();
    assert_eq!(connector.attempts().len(), 5);
}

/// Both legs of a hedged request count.
#[tokio::test(start_paused = true)]
async fn hedged_request_reaches_no_more_peers() {
    let names = names(20);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (peers, connector) = (peers(&names), ScriptedConnector::new());
    let lost = Verdict::down().if_idempotent().because("lost");
    connector.tell_all(&names, Does::FailAfter(Duration::from_millis(20), lost));
    let hedge = BalanceLayer::new(peers)
        .classify(AsTold)
        .replay(Cloned::idempotent_if(ALWAYS))
        .hedge_after(Duration::from_millis(30))
        .layer(connector.clone());
    hedge.oneshot("poison").await.unwrap_err();
    // One more may be under way on the other leg when the last of them is known.
    assert!(connector.attempts().len() <= 4);
}
