//! A connector whose peers do what the test says, and a balancer over it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its part"
)]

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, Ready, poll_fn, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{
    Attempt, Balance, BalanceLayer, Classify, Cloned, Eject, Error, Peers, Replay, Rules, State,
    Ticket, Verdict,
};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

/// CHECK_INTERVAL of django-proxysql.
pub const INTERVAL: Duration = Duration::from_secs(30);

/// What a peer does with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers with its own name.
    Answer,
    /// Fails with this verdict.
    Fail(Verdict),
    /// Answers with a response that gets this verdict.
    AnswerBadly(Verdict),
    /// Answers with its own name after some time.
    AnswerAfter(Duration),
    /// Fails after some time.
    FailAfter(Duration, Verdict),
    /// Never answers.
    Hang,
}

pub const REFUSE: Does = Does::Fail(Verdict::down().safe().because("refused"));

#[derive(Debug)]
pub struct Answer {
    pub peer: String,
    pub verdict: Verdict,
}

#[derive(Debug)]
pub struct Failure(pub Verdict);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.reason.unwrap_or("failed"))
    }
}

impl std::error::Error for Failure {}

/// Returns the verdict that the outcome carries.
#[derive(Clone, Copy)]
pub struct AsTold;

impl Classify<Answer, Failure> for AsTold {
    fn classify(&self, outcome: Result<&Answer, &Failure>) -> Verdict {
        match outcome {
            Ok(answer) => answer.verdict,
            Err(failure) => failure.0,
        }
    }
}

/// The connector. Each peer does what it was last told, and every attempt is recorded.
#[derive(Clone, Default)]
pub struct ScriptedConnector {
    told: Arc<Mutex<HashMap<String, Does>>>,
    script: Arc<Mutex<VecDeque<Does>>>,
    attempts: Arc<Mutex<Vec<String>>>,
    tickets: Arc<Mutex<Vec<Ticket<()>>>>,
    ready: Option<Arc<Semaphore>>,
}

impl ScriptedConnector {
    pub fn new() -> Self {
        Self::default()
    }

    /// Ready only while the semaphore has a permit.
    pub fn ready_by(semaphore: Arc<Semaphore>) -> Self {
        Self {
            ready: Some(semaphore),
            ..Self::default()
        }
    }

    pub fn tell(&self, peer: &str, does: Does) {
        self.told.lock().unwrap().insert(peer.into(), does);
    }

    pub fn tell_all(&self, peers: &[&str], does: Does) {
        peers.iter().for_each(|peer| self.tell(peer, does));
    }

    /// Sets the results of the next attempts on any peer.
    pub fn script(&self, script: impl IntoIterator<Item = Does>) {
        self.script.lock().unwrap().extend(script);
    }

    /// Whether a peer, asked outside an attempt, would answer.
    pub fn answers(&self, peer: &str) -> bool {
        self.does(peer) == Does::Answer
    }

    fn does(&self, peer: &str) -> Does {
        let scripted = self.script.lock().unwrap().pop_front();
        let told = || self.told.lock().unwrap().get(peer).copied();
        scripted.or_else(told).unwrap_or(Does::Answer)
    }

    /// The peers attempted since the last call, in order.
    pub fn attempts(&self) -> Vec<String> {
        std::mem::take(&mut self.attempts.lock().unwrap())
    }

    /// The tickets of the attempts since the last call, in order.
    pub fn tickets(&self) -> Vec<Ticket<()>> {
        std::mem::take(&mut self.tickets.lock().unwrap())
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<R> Service<Attempt<(), R>> for ScriptedConnector {
    type Response = Answer;
    type Error = Failure;
    type Future = BoxFuture<Result<Answer, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &self.ready {
            Some(semaphore) if semaphore.is_closed() => {
                Poll::Ready(Err(Failure(Verdict::neutral().because("not ready"))))
            }
            Some(semaphore) if semaphore.available_permits() == 0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, attempt: Attempt<(), R>) -> Self::Future {
        let peer = attempt.peer.name().to_owned();
        self.attempts.lock().unwrap().push(peer.clone());
        self.tickets.lock().unwrap().push(attempt.ticket());
        let does = self.does(&peer);
        Box::pin(async move {
            match does {
                Does::Answer => Ok(Answer {
                    peer,
                    verdict: Verdict::healthy(),
                }),
                Does::AnswerBadly(verdict) => Ok(Answer { peer, verdict }),
                Does::Fail(verdict) => Err(Failure(verdict)),
                Does::AnswerAfter(time) => {
                    tokio::time::sleep(time).await;
                    let verdict = Verdict::healthy();
                    Ok(Answer { peer, verdict })
                }
                Does::FailAfter(time, verdict) => {
                    tokio::time::sleep(time).await;
                    Err(Failure(verdict))
                }
                Does::Hang => std::future::pending().await,
            }
        })
    }
}

/// Answers with the peer's number.
#[derive(Clone)]
pub struct Number;

impl Service<Attempt<usize, ()>> for Number {
    type Response = usize;
    type Error = Infallible;
    type Future = Ready<Result<usize, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<usize, ()>) -> Self::Future {
        ready(Ok(*attempt.peer))
    }
}

pub type Balanced<Y = Cloned> = Balance<ScriptedConnector, (), Rules<AsTold, Y>>;

pub fn peers(names: &[&str]) -> Peers<()> {
    Peers::new(names.iter().map(|name| (*name, ()))).unwrap()
}

/// The plain layer of most tests: fixed interval of 30 s, seeded.
pub fn layer(peers: &Peers<()>) -> BalanceLayer<(), Rules<AsTold>> {
    BalanceLayer::new(peers.clone())
        .classify(AsTold)
        .eject(Eject::on_first().recheck_every(INTERVAL))
        .seed(42)
}

pub fn balance(names: &[&str]) -> (Peers<()>, ScriptedConnector, Balanced) {
    let (peers, connector) = (peers(names), ScriptedConnector::new());
    let balance = layer(&peers).layer(connector.clone());
    (peers, connector, balance)
}

/// Sends one request and returns the peer that answered.
pub async fn send<Y: Replay<&'static str>>(
    balance: &Balanced<Y>,
) -> Result<String, Error<Failure>> {
    let mut service = settled(balance);
    let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await else {
        unreachable!("always ready")
    };
    service.call("request").await.map(|answer| answer.peer)
}

/// A clone with a separate reference count, as a clone gets with its second request. No request is
/// sent.
pub fn settled<S: Service<&'static str> + Clone>(service: &S) -> S {
    let mut clone = service.clone();
    (0..2).for_each(|_| drop(clone.call("never polled")));
    clone
}

/// The numbers of peers that are up and that are not.
pub fn up_and_down(peers: &Peers<()>) -> (usize, usize) {
    let up = peers
        .statuses()
        .iter()
        .filter(|status| status.state == State::Up)
        .count();
    assert_eq!(up, peers.up_count(), "the two ways of counting agree");
    (up, peers.len() - up)
}
