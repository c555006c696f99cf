//! What a request does when no peer is left: fail, wait, or go to peers that are out.

use std::future::{Future, Ready, pending, poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{
    Answer, Balanced, Does, Failure, INTERVAL, REFUSE, ScriptedConnector, layer, peers, send,
    up_and_down,
};
use evenhand::{AllDown, Attempt, Error, Peer, Peers, Probe, Verdict};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

async fn both_down(all_down: AllDown) -> (Peers<()>, ScriptedConnector, Balanced) {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let quick = layer(&peers).layer(connector.clone());
    connector.script([REFUSE, REFUSE]);
    send(&quick).await.unwrap_err();
    assert_eq!(up_and_down(&peers), (0, 2));
    connector.attempts();
    let balance = layer(&peers).all_down(all_down).layer(connector.clone());
    (peers, connector, balance)
}

#[tokio::test(start_paused = true)]
async fn default_fails_at_once() {
    let (_, connector, balance) = both_down(AllDown::default()).await;
    let start = Instant::now();
    assert!(matches!(
        send(&balance).await.unwrap_err(),
        Error::Exhausted { .. }
    ));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(connector.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn queued_callers_are_served_on_recovery() {
    let (peers, connector, balance) = both_down(AllDown::WaitUpTo(2 * INTERVAL)).await;
    let start = Instant::now();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let balance = balance.clone();
            tokio::spawn(async move { send(&balance).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let took = start.elapsed();
    assert!(
        took.abs_diff(INTERVAL) <= Duration::from_millis(2),
        "{took:?}"
    );
    assert_eq!(connector.attempts().len(), 100);
    assert!(peers.up_count() >= 1);
}

#[tokio::test(start_paused = true)]
async fn callers_wait_for_a_peer_ejected_outside_a_runtime() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let waits = AllDown::WaitUpTo(3 * INTERVAL);
    let balance = layer(&peers).all_down(waits).layer(connector);
    let operator = peers.clone();
    std::thread::spawn(move || operator.eject("a", INTERVAL))
        .join()
        .unwrap()
        .unwrap();
    let start = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let balance = balance.clone();
        callers.spawn(async move { send(&balance).await });
    }
    for served in callers.join_all().await {
        assert_eq!(served.unwrap(), "a");
    }
    // The operator's clock is not the paused one.
    assert!(start.elapsed() < 2 * INTERVAL, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_by_its_deadline() {
    let (_, connector, balance) = both_down(AllDown::WaitUpTo(Duration::from_secs(5))).await;
    connector.tell_all(&["a", "b"], REFUSE);
    let start = Instant::now();
    let error = send(&balance).await.unwrap_err();
    let took = start.elapsed();
    assert!(
        took.abs_diff(Duration::from_secs(5)) <= Duration::from_millis(2),
        "{took:?}"
    );
    assert!(error.next_due().is_some());
}

#[tokio::test(start_paused = true)]
async fn waiting_request_outlives_failed_probes() {
    let (peers, connector, balance) = both_down(AllDown::WaitUpTo(4 * INTERVAL)).await;
    connector.script([REFUSE, REFUSE, Does::Answer]);
    let start = Instant::now();
    send(&balance).await.unwrap();
    let took = start.elapsed();
    assert!(
        took.abs_diff(2 * INTERVAL) <= Duration::from_millis(4),
        "{took:?}"
    );
    assert_eq!(connector.attempts().len(), 3);
    assert_eq!(up_and_down(&peers), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn waiting_request_gets_the_first_peer_added() {
    let (peers, _, balance) = both_down(AllDown::WaitUpTo(INTERVAL)).await;
    let waiting = tokio::spawn({
        let balance = balance.clone();
        async move { send(&balance).await }
    });
    tokio::task::yield_now().await;
    peers.remove("a").unwrap();
    peers.remove("b").unwrap();
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    peers.add("c", ()).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), "c");

    peers.remove("c").unwrap();
    let start = Instant::now();
    assert!(matches!(send(&balance).await.unwrap_err(), Error::NoPeers));
    assert!(start.elapsed() >= INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn emptied_set_fails_at_once_without_waiting() {
    for all_down in [AllDown::Fail, AllDown::FailOpen] {
        let (peers, _, balance) = both_down(all_down).await;
        peers.replace_all([("a", ()); 0]).unwrap();
        let start = Instant::now();
        assert!(matches!(send(&balance).await.unwrap_err(), Error::NoPeers));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_request_can_be_dropped() {
    let (peers, connector, balance) = both_down(AllDown::WaitUpTo(2 * INTERVAL)).await;
    let waiting = tokio::time::timeout(Duration::from_secs(1), send(&balance)).await;
    assert!(waiting.is_err());
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    assert_eq!(connector.attempts().len(), 1);
    assert_eq!(
        up_and_down(&peers),
        (1, 1),
        "the other peer is due and has not been probed yet"
    );
}

/// All were ejected by mistake.
#[tokio::test(start_paused = true)]
async fn failing_open_serves_all_and_brings_peers_back() {
    let (peers, connector, balance) = both_down(AllDown::FailOpen).await;
    connector.tell_all(&["a", "b"], Does::AnswerAfter(Duration::from_millis(5)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let balance = balance.clone();
        callers.spawn(async move { send(&balance).await });
    }
    let served = callers.join_all().await;
    let on_a = served.iter().filter(|peer| peer.as_ref().unwrap() == "a");
    assert!((30..=70).contains(&on_a.count()), "spread like any pick");
    assert_eq!(up_and_down(&peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn failing_open_tries_each_peer_once() {
    let (peers, connector, balance) = both_down(AllDown::FailOpen).await;
    let due = |peers: &Peers<()>| peers.statuses().into_iter().map(|s| s.next_probe);
    let before: Vec<_> = due(&peers).collect();
    connector.script([REFUSE, REFUSE]);
    send(&balance).await.unwrap_err();
    let mut attempts = connector.attempts();
    attempts.sort();
    assert_eq!(attempts, ["a", "b"]);
    assert!(due(&peers).eq(before), "a failure changes nothing");
}

/// It says nothing of a peer that is back.
#[tokio::test(start_paused = true)]
async fn failure_of_an_open_attempt_ejects_no_peer_that_came_back() {
    for by_operator in [true, false] {
        let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
        let balance = layer(&peers)
            .all_down(AllDown::FailOpen)
            .layer(connector.clone());
        connector.script([REFUSE]);
        send(&balance).await.unwrap_err();
        connector.script([Does::FailAfter(Duration::from_secs(1), Verdict::down())]);
        let open = balance.clone();
        let open = tokio::spawn(async move { send(&open).await });
        tokio::task::yield_now().await;
        if by_operator {
            peers.restore("a").unwrap();
        } else {
            send(&balance).await.unwrap();
        }
        open.await.unwrap().unwrap_err();
        assert_eq!(up_and_down(&peers), (1, 0), "by operator: {by_operator}");
    }
}

/// Such a peer is left alone until it is due.
#[tokio::test(start_paused = true)]
async fn failing_open_keeps_to_the_time_that_a_verdict_set() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .all_down(AllDown::FailOpen)
        .layer(connector.clone());
    let verdict = Verdict::down().safe().recover_in(Duration::from_secs(5));
    connector.script([Does::Fail(verdict)]);
    send(&balance).await.unwrap_err();
    send(&balance).await.unwrap_err();
    assert_eq!(connector.attempts().len(), 1);
    advance(Duration::from_secs(5)).await;
    send(&balance).await.unwrap();
    assert_eq!(peers.up_count(), 1);
}

/// Its own failed attempts must not wake it: it would probe the same peer without a pause.
#[tokio::test(start_paused = true)]
async fn neutral_probe_does_not_wake_its_own_request() {
    let (_, connector, balance) =
        both_down(AllDown::WaitUpTo(INTERVAL + Duration::from_secs(5))).await;
    connector.tell_all(&["a", "b"], Does::Fail(Verdict::neutral().safe()));
    send(&balance).await.unwrap_err();
    let attempts = connector.attempts().len();
    assert!((2..=20).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_wakes_exactly_when_a_peer_is_due() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .all_down(AllDown::WaitUpTo(4 * INTERVAL))
        .layer(connector.clone());
    let start = Instant::now();
    let seconds = Duration::from_secs;
    peers.eject("a", seconds(10)).unwrap();
    peers.eject("b", seconds(25)).unwrap();
    connector.script([REFUSE, REFUSE, Does::Answer]);

    let mut polls = Vec::new();
    let mut request = pin!(send(&balance));
    let served = poll_fn(|cx| {
        polls.push(start.elapsed());
        request.as_mut().poll(cx)
    });
    assert_eq!(served.await.unwrap(), "a");
    // Both peers refuse when they are due; the first one is due again an interval later. Between,
    // the request looks after pauses of its own.
    for due in [seconds(10), seconds(25), seconds(10) + INTERVAL] {
        let near = |poll: &Duration| *poll >= due && *poll - due <= Duration::from_millis(4);
        assert!(polls.iter().any(near), "{due:?}: {polls:?}");
    }
    assert!(polls.len() < 100, "{polls:?}");
    assert_eq!(connector.attempts(), ["a", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_due_only_at_the_deadline_is_too_late() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let waits = AllDown::WaitUpTo(INTERVAL);
    let balance = layer(&peers).all_down(waits).layer(connector.clone());
    peers.eject("a", INTERVAL).unwrap();
    send(&balance).await.unwrap_err();
    assert!(connector.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_probes_once_the_prober_is_gone() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let waits = AllDown::WaitUpTo(2 * INTERVAL);
    let balance = layer(&peers).all_down(waits).layer(connector.clone());
    let probe = service_fn(|_: Peer<()>| pending::<Result<(), ()>>());
    let prober = layer(&peers)
        .probe(Probe::new(probe, INTERVAL))
        .layer(connector);
    peers.eject("a", INTERVAL).unwrap();
    let start = Instant::now();
    let waiting = tokio::spawn(async move { send(&balance).await });
    sleep(INTERVAL / 2).await;
    drop(prober);
    assert_eq!(waiting.await.unwrap().unwrap(), "a");
    let took = start.elapsed();
    assert!(
        took.abs_diff(INTERVAL) <= Duration::from_millis(2),
        "{took:?}"
    );
}

/// Ready with a permit, which the call takes.
struct Limited(Arc<Semaphore>, Option<OwnedSemaphorePermit>);

impl Clone for Limited {
    fn clone(&self) -> Self {
        Self(self.0.clone(), None)
    }
}

impl Service<Attempt<(), &'static str>> for Limited {
    type Response = Answer;
    type Error = Failure;
    type Future = Ready<Result<Answer, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let permit = self.0.clone().try_acquire_owned();
        self.1 = Some(permit.expect("each request has room"));
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<(), &'static str>) -> Self::Future {
        drop(self.1.take().expect("it was ready"));
        ready(Ok(Answer {
            peer: attempt.peer.name().to_owned(),
            verdict: Verdict::healthy(),
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_holds_no_readiness_of_the_connector() {
    let (peers, room) = (peers(&["a"]), Arc::new(Semaphore::new(1)));
    let balance = layer(&peers)
        .all_down(AllDown::WaitUpTo(2 * INTERVAL))
        .layer(Limited(room.clone(), None));
    peers.eject("a", INTERVAL).unwrap();
    let waiting = tokio::spawn(balance.oneshot("request"));
    sleep(INTERVAL / 2).await;
    assert_eq!(room.available_permits(), 1);
    assert_eq!(waiting.await.unwrap().unwrap().peer, "a");
}
