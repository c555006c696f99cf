//! Tickets that decide in place of the response.

mod limit;
mod response;

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::{Failure, INTERVAL, peers, up_and_down};
use evenhand::{
    AllDown, Attempt, Balance, BalanceLayer, DEFAULT_TICKET_TIMEOUT, Eject, Error, Peer, Peers,
    Probe, Rules, State, Ticket, Verdict,
};
use tokio::time::{advance, sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

type Outcome = Result<Verdict, Verdict>;

const HEALTHY: Outcome = Ok(Verdict::healthy());

/// A response whose end its ticket reports.
#[derive(Debug)]
struct Stream {
    head: Verdict,
    ticket: Ticket<()>,
}

/// Answers each attempt with the next outcome of the script, or well. What `early` does, it does
/// before.
#[derive(Clone)]
struct Streams {
    script: Arc<Mutex<VecDeque<Outcome>>>,
    early: fn(&Ticket<()>),
}

impl Service<Attempt<(), ()>> for Streams {
    type Response = Stream;
    type Error = Failure;
    type Future = Ready<Result<Stream, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<(), ()>) -> Self::Future {
        let ticket = attempt.deciding_ticket();
        (self.early)(&ticket);
        let outcome = self.script.lock().unwrap().pop_front().unwrap_or(HEALTHY);
        let stream = |head| Stream { head, ticket };
        ready(outcome.map(stream).map_err(Failure))
    }
}

type Judge = fn(Result<&Stream, &Failure>) -> Verdict;

struct Given {
    peers: Peers<()>,
    script: Arc<Mutex<VecDeque<Outcome>>>,
    balance: Balance<Streams, (), Rules<Judge>>,
}

fn layer(peers: &Peers<()>) -> BalanceLayer<(), Rules<Judge>> {
    let judge: Judge = |outcome| match outcome {
        Ok(stream) => stream.head,
        Err(failure) => failure.0,
    };
    BalanceLayer::new(peers.clone())
        .classify(judge)
        .eject(Eject::on_first().recheck_every(INTERVAL))
        .seed(7)
}

impl Given {
    fn new(names: &[&str]) -> Self {
        let peers = peers(names);
        Self::with(layer(&peers), |_| {})
    }

    fn with(layer: BalanceLayer<(), Rules<Judge>>, early: fn(&Ticket<()>)) -> Self {
        let script = Arc::default();
        let connector = Streams {
            script: Arc::clone(&script),
            early,
        };
        Self {
            peers: layer.peers().clone(),
            script,
            balance: layer.layer(connector),
        }
    }

    /// One peer that is ejected and due.
    async fn due() -> Self {
        Self::new(&["a"]).and_due().await
    }

    async fn and_due(self) -> Self {
        self.peers.eject("a", INTERVAL).unwrap();
        advance(INTERVAL).await;
        self
    }

    fn script(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.script.lock().unwrap().extend(outcomes);
    }

    async fn send(&self) -> Result<Stream, Error<Failure>> {
        self.balance.clone().oneshot(()).await
    }

    async fn stream(&self) -> Ticket<()> {
        self.send().await.unwrap().ticket
    }

    fn state(&self) -> State {
        self.peers.statuses()[0].state
    }

    fn in_flight(&self) -> u32 {
        self.peers.statuses()[0].in_flight
    }
}

/// Of two peers one breaks each stream until it is mended. Returns how many are up before and after.
async fn streams_break(head: Verdict, end: Verdict, eject: Eject) -> (usize, usize) {
    let peers = peers(&["well", "breaks"]);
    let layer = layer(&peers).eject(eject.recheck_every(Duration::from_secs(1)));
    let given = Given::with(layer, |_| {});
    let request = async |broken: bool| {
        given.script([Ok(head)]);
        let ticket = given.stream().await;
        sleep(Duration::from_millis(5)).await;
        ticket.report(if broken && ticket.peer().name() == "breaks" {
            end
        } else {
            Verdict::healthy()
        });
    };
    for _ in 0..200 {
        request(true).await;
    }
    let before = peers.up_count();
    for _ in 0..20 {
        sleep(Duration::from_millis(1100)).await;
        request(false).await;
    }
    (before, peers.up_count())
}

#[tokio::test(start_paused = true)]
async fn streams_that_break_eject_their_peer_and_whole_ones_bring_it_back() {
    let (first, two) = (Eject::on_first, || Eject::after_in_a_row(2));
    for (head, end, eject) in [
        (Verdict::healthy(), Verdict::degraded(), first()),
        (Verdict::healthy(), Verdict::down(), two()),
        (Verdict::neutral(), Verdict::degraded(), first()),
        (Verdict::neutral(), Verdict::down(), first()),
    ] {
        assert_eq!(streams_break(head, end, eject).await, (1, 2), "{head:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn late_outcome_counts_once() {
    let peers = peers(&["a"]);
    let layer = layer(&peers).eject(Eject::after_in_a_row(2));
    let given = Given::with(layer, |_| {});
    let ticket = given.stream().await;
    let clone = ticket.clone();
    for ticket in [&ticket, &clone, &ticket] {
        ticket.report(Verdict::down());
    }
    advance(DEFAULT_TICKET_TIMEOUT).await;
    assert_eq!(up_and_down(&given.peers), (1, 0));
    let second = given.stream().await;
    second.report(Verdict::down());
    assert_eq!(up_and_down(&given.peers), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn attempt_is_in_flight_once_while_clones_of_its_ticket_live() {
    let given = Given::new(&["a"]);
    let ticket = given.stream().await;
    let clone = ticket.clone();
    assert_eq!(given.in_flight(), 1);
    drop(ticket);
    clone.report(Verdict::healthy());
    assert_eq!(given.in_flight(), 1);
    drop(clone);
    assert_eq!(given.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn further_tickets_of_an_attempt_are_clones() {
    let peers = peers(&["a"]);
    let connector = service_fn(async |attempt: Attempt<(), ()>| {
        let tickets = [attempt.deciding_ticket(), attempt.deciding_ticket()];
        Ok::<_, Failure>(tickets)
    });
    let balance = BalanceLayer::new(peers.clone())
        .eject(Eject::after_in_a_row(2))
        .layer(connector);
    let [one, two] = balance.oneshot(()).await.unwrap();
    assert_eq!(peers.statuses()[0].in_flight, 1);
    one.report(Verdict::down());
    two.report(Verdict::down());
    assert_eq!(peers.up_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn probe_holds_its_peer_until_the_report() {
    for (verdict, state) in [
        (Verdict::healthy(), State::Up),
        (Verdict::degraded(), State::Ejected),
        (Verdict::down(), State::Ejected),
        (Verdict::neutral(), State::Ejected),
        (Verdict::suspect(), State::Ejected),
    ] {
        let given = Given::due().await;
        let ticket = given.stream().await;
        assert_eq!(given.state(), State::Probing);
        assert!(!ticket.is_stale());
        given.send().await.unwrap_err();
        ticket.report(verdict);
        assert_eq!(given.state(), state, "{verdict:?}");
        ticket.report(Verdict::down());
        assert_eq!(given.state(), state, "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn last_drop_is_neutral_and_releases_a_probe() {
    let given = Given::due().await;
    let ticket = given.stream().await;
    let clone = ticket.clone();
    drop(ticket);
    assert_eq!(given.state(), State::Probing);
    drop(clone);
    assert_eq!(given.state(), State::Ejected);
    // It is due still.
    given.stream().await.report(Verdict::healthy());
    assert_eq!(given.state(), State::Up);
    drop(given.stream().await);
    assert_eq!(given.state(), State::Up);
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_a_ticket_that_decides() {
    for probing in [false, true] {
        let given = Given::new(&["a"]);
        let given = if probing {
            given.and_due().await
        } else {
            given
        };
        let ticket = given.stream().await;
        let mut drain = pin!(given.peers.drain("a"));
        assert!(timeout(INTERVAL, drain.as_mut()).await.is_err());
        ticket.report(Verdict::down());
        assert_eq!(given.state(), State::Draining);
        drop(ticket);
        drain.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn operators_change_makes_a_late_outcome_stale() {
    for probing in [false, true] {
        for end in [Verdict::healthy(), Verdict::down(), Verdict::neutral()] {
            let given = Given::new(&["a"]);
            let given = if probing {
                given.and_due().await
            } else {
                given
            };
            let ejected = given.stream().await;
            given.peers.eject("a", INTERVAL).unwrap();
            ejected.report(end);
            assert_eq!(given.state(), State::Ejected, "{probing} {end:?}");

            advance(INTERVAL).await;
            let restored = given.stream().await;
            given.peers.restore("a").unwrap();
            restored.report(end);
            assert_eq!(given.state(), State::Up, "{probing} {end:?}");
        }
    }
}
