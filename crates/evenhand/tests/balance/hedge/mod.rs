//! Hedging: a second attempt starts if the first is slow.

mod cancellation;
mod legs;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::{
    Answer, AsTold, Does, Failure, INTERVAL, REFUSE, ScriptedConnector, layer, peers, settled,
};
use evenhand::{
    AllDown, Balance, BalanceLayer, Cloned, Error, Hedge, HedgeLayer, Once, Peers, Replay, Rules,
    State, Verdict,
};
use tokio::time::{Instant, advance, timeout};
use tower::{Layer, Service};

const D: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(3600);
const REFUSED: Verdict = Verdict::down().safe().because("refused");

type Hedged<Y = Cloned> = Hedge<Balance<ScriptedConnector, (), Rules<AsTold, Y>>>;

fn hedging(peers: &Peers<()>) -> HedgeLayer<BalanceLayer<(), Rules<AsTold>>> {
    layer(peers).replay(Cloned::idempotent()).hedge_after(D)
}

fn hedge(names: &[&str]) -> (Peers<()>, ScriptedConnector, Hedged) {
    let (peers, connector) = (peers(names), ScriptedConnector::new());
    let hedge = hedging(&peers).layer(connector.clone());
    (peers, connector, hedge)
}

/// Sends one request and returns the peer that answered and the time it took.
async fn send<H>(hedge: &H) -> (Result<String, Error<Failure>>, Duration)
where
    H: Service<&'static str, Response = Answer, Error = Error<Failure>> + Clone,
{
    send_by(settled(hedge)).await
}

/// As [`send`], by this clone.
async fn send_by<H>(mut hedge: H) -> (Result<String, Error<Failure>>, Duration)
where
    H: Service<&'static str, Response = Answer, Error = Error<Failure>>,
{
    let start = Instant::now();
    let answer = hedge.call("request").await;
    (answer.map(|answer| answer.peer), start.elapsed())
}

fn state_of(peers: &Peers<()>, name: &str) -> State {
    let peer = peers.iter().find(|peer| peer.name() == name);
    peer.unwrap().state()
}

/// No attempt is under way, and no peer is being probed.
#[track_caller]
fn nothing_is_left(peers: &Peers<()>, connector: &ScriptedConnector) {
    drop(connector.tickets());
    for status in peers.statuses() {
        assert_eq!(status.in_flight, 0, "{status:?}");
        assert_ne!(status.state, State::Probing, "{status:?}");
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
