//! Panics in the user's code end the request or probe that ran it, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{Answer, AsTold, Does, Failure, INTERVAL, ScriptedConnector, layer, peers};
use evenhand::{
    Accrual, ActiveChecks, Attempt, Balance, BalanceLayer, Candidates, Classify, Eject, EventKind,
    Peer, Peers, Pick, Probe, Replay, Rules, State, Uniform, Verdict,
};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

const FAIL: Does = Does::Fail(Verdict::down().if_idempotent());
const DENY: Does = Does::Fail(Verdict::suspect().safe());

/// Where the user's code panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Classify,
    Pick,
    Copy,
    IsIdempotent,
    Budget,
    Connector,
    Healthy,
    Failed,
    NewAccrual,
    DropAccrual,
}

/// All of a user's code, which panics once at the place that a test arms.
#[derive(Clone, Default)]
struct User {
    /// The place, and how often it is passed before.
    armed: Arc<Mutex<Option<(At, u32)>>>,
    connector: ScriptedConnector,
}

impl User {
    fn arm(&self, at: At, after: u32) {
        *self.armed.lock().unwrap() = Some((at, after));
    }

    fn is_armed(&self) -> bool {
        self.armed.lock().unwrap().is_some()
    }

    fn pass(&self, here: At) {
        let mut armed = self.armed.lock().unwrap();
        match &mut *armed {
            Some((at, 0)) if *at == here => *armed = None,
            Some((at, after)) if *at == here => return *after -= 1,
            _ => return,
        }
        drop(armed);
        panic!("told to, at {here:?}");
    }
}

impl Classify<Answer, Failure> for User {
    fn classify(&self, outcome: Result<&Answer, &Failure>) -> Verdict {
        self.pass(At::Classify);
        AsTold.classify(outcome)
    }
}

impl Pick for User {
    fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize> {
        self.pass(At::Pick);
        Uniform.pick(candidates)
    }
}

impl Replay<&'static str> for User {
    fn copy(&self, request: &&'static str) -> Option<&'static str> {
        self.pass(At::Copy);
        Some(request)
    }

    fn is_idempotent(&self, _: &&'static str) -> bool {
        self.pass(At::IsIdempotent);
        true
    }
}

/// A user's accrual: as a type of its own, as a user's other parts are dropped elsewhere.
struct Accrued(User);

impl Accrual for Accrued {
    fn healthy(&self) {
        self.0.pass(At::Healthy);
    }

    fn failed(&self, _: &Verdict) -> bool {
        self.0.pass(At::Failed);
        true
    }
}

impl Drop for Accrued {
    fn drop(&mut self) {
        self.0.pass(At::DropAccrual);
    }
}

impl Service<Attempt<(), &'static str>> for User {
    type Response = Answer;
    type Error = Failure;
    type Future = <ScriptedConnector as Service<Attempt<(), &'static str>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<(), &'static str>) -> Self::Future {
        self.pass(At::Connector);
        self.connector.call(attempt)
    }
}

type Panicking = Balance<User, (), Rules<User, User, User>>;

fn panicking() -> (Peers<()>, User, Panicking) {
    let (peers, user) = (peers(&["a", "b"]), User::default());
    let budget = user.clone();
    let accrued = user.clone();
    let eject = Eject::accrual(move || {
        accrued.pass(At::NewAccrual);
        Box::new(Accrued(accrued.clone()))
    });
    let eject = eject.recheck_every(INTERVAL);
    let balance = BalanceLayer::new(peers.clone())
        .classify(user.clone())
        .replay(user.clone())
        .pick(user.clone())
        .retry_budget(move || {
            budget.pass(At::Budget);
            true
        })
        .eject(eject)
        .seed(42)
        .layer(user.clone());
    (peers, user, balance)
}

async fn assert_request_panics(user: &User, balance: &Panicking) {
    let request = tokio::spawn(balance.clone().oneshot("request"));
    assert!(request.await.unwrap_err().is_panic());
    assert!(!user.is_armed());
    drop(user.connector.tickets());
}

/// Nothing is in flight, no probe is out, and all peers take part again when they are due.
async fn assert_nothing_is_left(peers: &Peers<()>, user: &User, balance: &Panicking) {
    for status in peers.statuses() {
        assert_eq!(status.in_flight, 0, "{status:?}");
        assert!(matches!(status.state, State::Up | State::Ejected));
        assert_eq!(status.next_probe.is_some(), status.state == State::Ejected);
    }
    advance(INTERVAL).await;
    for _ in 0..2 {
        balance.clone().oneshot("request").await.unwrap();
    }
    drop(user.connector.tickets());
    for status in peers.statuses() {
        assert_eq!((status.state, status.in_flight), (State::Up, 0));
    }
    assert_eq!(peers.up_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_attempt_leaves_its_peer_up() {
    for (at, does) in [
        (At::Classify, Does::Answer),
        (At::Pick, Does::Answer),
        (At::Copy, Does::Answer),
        (At::Connector, Does::Answer),
        (At::NewAccrual, Does::Answer),
        (At::NewAccrual, FAIL),
        (At::Healthy, Does::Answer),
        (At::Failed, FAIL),
    ] {
        let (peers, user, balance) = panicking();
        user.connector.script([does]);
        user.arm(at, 0);
        assert_request_panics(&user, &balance).await;
        assert_eq!(peers.up_count(), 2, "{at:?}");
        user.connector.script([Does::Answer; 2]);
        assert_nothing_is_left(&peers, &user, &balance).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_after_the_verdict_leaves_the_verdict() {
    for at in [At::IsIdempotent, At::Budget] {
        let (peers, user, balance) = panicking();
        user.connector.script([FAIL]);
        user.arm(at, 0);
        assert_request_panics(&user, &balance).await;
        assert_eq!(peers.up_count(), 1, "{at:?}");
        assert_nothing_is_left(&peers, &user, &balance).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_accruals_drop_leaves_its_peer_up() {
    let (peers, user, balance) = panicking();
    // The first outcome makes a peer's accrual. The first one after its recovery drops it.
    user.connector.script([FAIL, Does::Answer]);
    balance.clone().oneshot("request").await.unwrap();
    advance(INTERVAL).await;
    balance.clone().oneshot("request").await.unwrap();
    user.arm(At::DropAccrual, 0);
    let mut requests = 0;
    while user.is_armed() && requests < 100 {
        let request = tokio::spawn(balance.clone().oneshot("request"));
        assert_eq!(request.await.is_err(), !user.is_armed());
        requests += 1;
    }
    assert!(!user.is_armed());
    drop(user.connector.tickets());
    assert_eq!(peers.up_count(), 2);
    assert_nothing_is_left(&peers, &user, &balance).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_probe_leaves_its_peer_due() {
    for at in [At::Classify, At::Pick, At::Copy, At::Connector] {
        let (peers, user, balance) = panicking();
        peers.eject("a", INTERVAL).unwrap();
        advance(INTERVAL).await;
        user.arm(at, 0);
        assert_request_panics(&user, &balance).await;
        let a = &peers.statuses()[0];
        assert_eq!((a.state, a.in_flight), (State::Ejected, 0), "{at:?}");
        assert!(a.next_probe.unwrap() <= Instant::now());
        user.connector.attempts();
        balance.clone().oneshot("request").await.unwrap();
        assert_eq!(user.connector.attempts(), ["a"], "{at:?}");
        drop(user.connector.tickets());
        assert_nothing_is_left(&peers, &user, &balance).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_about_a_suspect_releases_it() {
    for at in [At::Classify, At::Copy, At::Connector] {
        let (peers, user, balance) = panicking();
        peers.eject("a", INTERVAL).unwrap();
        advance(INTERVAL).await;
        // The probe is suspect, and the user's code panics in the attempt on the other peer.
        user.connector.script([DENY]);
        user.arm(at, 1);
        assert_request_panics(&user, &balance).await;
        let a = &peers.statuses()[0];
        assert_eq!((a.state, a.in_flight), (State::Ejected, 0), "{at:?}");
        assert_nothing_is_left(&peers, &user, &balance).await;
    }
}

/// A probe service that panics until it was called so often, and the count of its calls.
fn panics_up_to(times: u32) -> (Probe<()>, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let service = {
        let calls = calls.clone();
        service_fn(move |_: Peer<()>| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(call >= times, "told to");
                Ok::<_, &str>(())
            }
        })
    };
    (Probe::new(service, Duration::from_secs(1)), calls)
}

#[tokio::test(start_paused = true)]
async fn a_background_probe_that_panics_has_failed() {
    let (peers, (probe, calls)) = (peers(&["a", "b"]), panics_up_to(2));
    let mut events = peers.subscribe();
    let _balance = layer(&peers).probe(probe).layer(ScriptedConnector::new());
    peers.eject("a", INTERVAL).unwrap();
    for probes in 1..=2 {
        sleep(INTERVAL + Duration::from_millis(10)).await;
        assert_eq!(calls.load(Ordering::SeqCst), probes);
        let a = &peers.statuses()[0];
        assert_eq!((a.state, a.in_flight), (State::Ejected, 0));
    }
    sleep(INTERVAL).await;
    assert_eq!(peers.up_count(), 2);
    assert_eq!(peers.statuses()[0].in_flight, 0);
    let mut failed = 0;
    while let Some(event) = events.try_next().unwrap() {
        failed += u32::from(matches!(event.kind, EventKind::ProbeFailed { .. }));
    }
    assert_eq!(failed, 2);
}

#[tokio::test(start_paused = true)]
async fn an_active_check_that_panics_blames_no_peer() {
    let (peers, (probe, calls)) = (peers(&["a"]), panics_up_to(u32::MAX));
    let every = Duration::from_secs(5);
    let probe = probe.active_checks(ActiveChecks::every(every).fall(1));
    let _balance = layer(&peers).probe(probe).layer(ScriptedConnector::new());
    sleep(20 * every).await;
    let calls = calls.load(Ordering::SeqCst);
    assert!((15..=22).contains(&calls), "{calls} checks");
    let a = &peers.statuses()[0];
    assert_eq!((a.state, a.in_flight), (State::Up, 0));
}

/// A target whose comparison or drop panics, if it says so.
struct Target(&'static str);

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        assert_ne!(self.0, "panics in eq", "told to");
        self.0 == other.0
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        assert_ne!(self.0, "panics in drop", "told to");
    }
}

fn states(peers: &Peers<Target>) -> Vec<(String, State)> {
    let statuses = peers.statuses();
    let up = statuses.iter().filter(|peer| peer.state == State::Up);
    assert_eq!(up.count(), peers.up_count());
    let states = statuses
        .iter()
        .map(|peer| (peer.peer.to_string(), peer.state));
    states.collect()
}

fn panics<T>(act: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

#[test]
fn a_target_that_panics_when_it_is_compared_leaves_the_set_as_it_was() {
    let named = ["plain", "panics in eq", "plain"];
    let named = || ["a", "b", "c"].into_iter().zip(named.map(Target));
    let peers = Peers::new(named()).unwrap();
    peers.eject("a", INTERVAL).unwrap();
    let before = states(&peers);
    assert!(panics(|| peers.replace_all(named().skip(1))));
    assert_eq!(states(&peers), before);
    peers.remove("b").unwrap();
    peers.replace_all([("a", Target("plain"))]).unwrap();
    assert_eq!(states(&peers), before[..1]);
}

#[test]
fn a_target_that_panics_when_it_is_dropped_has_left() {
    for replaces in [false, true] {
        let named = [("a", Target("panics in drop")), ("b", Target("plain"))];
        let peers = Peers::new(named).unwrap();
        let mut events = peers.subscribe();
        assert!(panics(|| match replaces {
            true => peers.replace_all([("b", Target("plain"))]),
            false => peers.remove("a"),
        }));
        assert_eq!(states(&peers), [("b".into(), State::Up)]);
        let event = events.try_next().unwrap().unwrap();
        assert_eq!((&*event.peer, event.kind), ("a", EventKind::Removed));
        peers.add("a", Target("plain")).unwrap();
        assert_eq!(peers.up_count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_panics_when_its_last_attempt_ends_costs_that_request() {
    let peers = Peers::new([("a", Target("panics in drop"))]).unwrap();
    let balance =
        BalanceLayer::new(peers.clone()).layer(service_fn(async |attempt: Attempt<Target, ()>| {
            sleep(INTERVAL).await;
            Ok::<_, &str>(attempt.peer.shared_name())
        }));
    let request = tokio::spawn(balance.clone().oneshot(()));
    tokio::task::yield_now().await;
    peers.remove("a").unwrap();
    peers.add("b", Target("plain")).unwrap();
    assert!(request.await.unwrap_err().is_panic());
    assert_eq!(&*balance.oneshot(()).await.unwrap(), "b");
    assert_eq!(states(&peers), [("b".into(), State::Up)]);
    assert_eq!(peers.statuses()[0].in_flight, 0);
}
