//! Peers that are up are checked in the background, unless traffic has just proved them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{Balanced, INTERVAL, ScriptedConnector, layer, peers, send};
use evenhand::{ActiveChecks, EventKind, Peer, Peers, Probe, State, Verdict};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service};

const EVERY: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(1);

/// A probe service that follows the test's settings and counts its calls.
#[derive(Clone, Default)]
struct Checks {
    down: Arc<Mutex<Vec<&'static str>>>,
    hangs: Arc<Mutex<bool>>,
    seen: Arc<Mutex<Vec<(String, Instant)>>>,
    out: Arc<AtomicUsize>,
    most_out: Arc<AtomicUsize>,
}

impl Checks {
    fn fail(&self, down: &[&'static str]) {
        *self.down.lock().unwrap() = down.to_vec();
    }

    /// The peers checked since the last call.
    fn seen(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter().map(|(peer, _)| peer).collect()
    }
}

struct Out(Arc<AtomicUsize>);

impl Drop for Out {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service<Peer<()>> for Checks {
    type Response = ();
    type Error = &'static str;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: Peer<()>) -> Self::Future {
        let name = peer.name().to_owned();
        let fails = self.down.lock().unwrap().contains(&&*name);
        self.seen.lock().unwrap().push((name, Instant::now()));
        let hangs = *self.hangs.lock().unwrap();
        let out = self.out.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_out.fetch_max(out, Ordering::SeqCst);
        let out = Out(self.out.clone());
        Box::pin(async move {
            let _out = out;
            if hangs {
                std::future::pending::<Infallible>().await;
            }
            if fails { Err("down") } else { Ok(()) }
        })
    }
}

fn checked(
    names: &[&str],
    set: impl Fn(Probe<()>, ActiveChecks) -> Probe<()>,
) -> (Peers<()>, ScriptedConnector, Checks, Balanced) {
    let (peers, connector, checks) = (peers(names), ScriptedConnector::new(), Checks::default());
    let probe = set(
        Probe::new(checks.clone(), LIMIT),
        ActiveChecks::every(EVERY),
    );
    let balance = layer(&peers).probe(probe).layer(connector.clone());
    (peers, connector, checks, balance)
}

fn state_of(peers: &Peers<()>, name: &str) -> State {
    let peer = peers.iter().find(|peer| peer.name() == name);
    peer.unwrap().state()
}

#[tokio::test(start_paused = true)]
async fn idle_peer_is_checked_once_an_interval() {
    let (_, _, checks, balance) = checked(&["a", "b"], |probe, checks| probe.active_checks(checks));
    sleep(EVERY * 2).await;
    assert!(
        !checks.seen().is_empty(),
        "checks start before the first request"
    );
    send(&balance).await.unwrap();
    sleep(EVERY * 2).await;
    checks.seen();
    sleep(EVERY * 100).await;
    let seen = std::mem::take(&mut *checks.seen.lock().unwrap());
    for peer in ["a", "b"] {
        let times: Vec<Instant> = seen.iter().filter(|s| s.0 == peer).map(|s| s.1).collect();
        assert!((95..=106).contains(&times.len()), "{}", times.len());
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let (least, most) = gaps.fold((Duration::MAX, Duration::ZERO), |(l, m), gap| {
            (l.min(gap), m.max(gap))
        });
        let grain = Duration::from_millis(2);
        assert!(least + grain >= EVERY.mul_f64(0.9) && most <= EVERY.mul_f64(1.1) + grain);
        assert!(
            most - least > EVERY / 20,
            "no jitter: {least:?} to {most:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn peer_with_successful_traffic_is_not_checked() {
    let (peers, _, checks, balance) =
        checked(&["a", "b"], |probe, checks| probe.active_checks(checks));
    checks.fail(&["a", "b"]);
    for _ in 0..500 {
        for _ in 0..20 {
            send(&balance).await.unwrap();
        }
        sleep(EVERY / 5).await;
    }
    assert!(checks.seen().is_empty());
    assert_eq!(peers.up_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn busy_peer_is_checked_if_traffic_proves_nothing() {
    let (peers, _, checks, balance) = checked(&["a", "b"], |probe, checks| {
        probe.active_checks(checks.under_traffic(true))
    });
    for round in 0..100 {
        if round == 50 {
            assert!((40..=60).contains(&checks.seen().len()));
            checks.fail(&["a"]);
        }
        for _ in 0..20 {
            send(&balance).await.unwrap();
        }
        sleep(EVERY / 2).await;
    }
    assert_eq!(state_of(&peers, "a"), State::Ejected);
    assert_eq!(state_of(&peers, "b"), State::Up);
}

#[tokio::test(start_paused = true)]
async fn consecutive_failed_checks_eject() {
    for fall in [1, 3, 5] {
        let (peers, connector, checks, balance) = checked(&["a", "b"], |probe, checks| {
            probe.active_checks(checks.fall(fall))
        });
        let mut events = peers.subscribe();
        send(&balance).await.unwrap();
        connector.attempts();
        checks.fail(&["a"]);
        let EventKind::Ejected { reason, .. } = events.next().await.unwrap().unwrap().kind else {
            unreachable!("the first event is an ejection");
        };
        assert_eq!(reason, Some("probe failed"));
        assert_eq!(state_of(&peers, "a"), State::Ejected);
        let seen = checks.seen();
        let of_a = seen.iter().filter(|peer| **peer == "a").count();
        assert_eq!(of_a, usize::try_from(fall).unwrap());
        assert!(connector.attempts().is_empty(), "no request was sent");
        for _ in 0..20 {
            assert_eq!(send(&balance).await.unwrap(), "b");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn separate_failed_checks_do_not_eject() {
    let (peers, _, checks, balance) = checked(&["a"], |probe, checks| probe.active_checks(checks));
    send(&balance).await.unwrap();
    sleep(EVERY * 3).await;
    for by_traffic in [false, true, false, true] {
        checks.seen();
        checks.fail(&["a"]);
        while checks.seen.lock().unwrap().len() < 2 {
            sleep(EVERY / 50).await;
        }
        if by_traffic {
            send(&balance).await.unwrap();
            sleep(EVERY * 11 / 10).await;
        } else {
            checks.fail(&[]);
            sleep(EVERY * 11 / 10).await;
        }
        assert_eq!(peers.up_count(), 1);
    }
}

/// A password that no peer accepts, say, does not hide that the peer is down.
#[tokio::test(start_paused = true)]
async fn check_that_says_nothing_neither_ejects_nor_clears() {
    for nothing in [Verdict::neutral(), Verdict::suspect().safe()] {
        let (peers, answer) = (peers(&["a"]), Arc::new(Mutex::new(nothing)));
        let (own, seen) = (answer.clone(), Arc::<AtomicUsize>::default());
        let count = seen.clone();
        let probe = tower::service_fn(move |_: Peer<()>| {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = *own.lock().unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
        let probe = Probe::new(probe, LIMIT).active_checks(ActiveChecks::every(EVERY).fall(2));
        let balance = layer(&peers).probe(probe).layer(ScriptedConnector::new());
        send(&balance).await.unwrap();
        let checks = async |verdict, n| {
            *answer.lock().unwrap() = verdict;
            let until = seen.load(Ordering::SeqCst) + n;
            while seen.load(Ordering::SeqCst) < until {
                sleep(EVERY / 50).await;
            }
            sleep(EVERY / 50).await;
        };
        checks(nothing, 5).await;
        checks(Verdict::down(), 1).await;
        checks(nothing, 5).await;
        assert_eq!(peers.up_count(), 1, "{nothing:?}");
        checks(Verdict::down(), 1).await;
        assert_eq!(peers.up_count(), 0, "{nothing:?}");
        checks(nothing, 3).await;
        assert_eq!(peers.up_count(), 0, "a probe does not pass: {nothing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn consecutive_successful_probes_restore() {
    let (peers, _, checks, balance) = checked(&["a", "b"], |probe, checks| {
        probe.rise(3, EVERY).active_checks(checks)
    });
    let mut events = peers.subscribe();
    checks.fail(&["a"]);
    send(&balance).await.unwrap();
    let mut next = async || events.next().await.unwrap().unwrap().kind;
    assert!(matches!(next().await, EventKind::Ejected { .. }));
    let ejected = Instant::now();
    checks.fail(&[]);
    assert_eq!(next().await, EventKind::ProbeStarted);
    assert_eq!(state_of(&peers, "a"), State::Probing);

    // The second of the three fails.
    checks.fail(&["a"]);
    assert!(matches!(next().await, EventKind::ProbeFailed { .. }));
    let took = ejected.elapsed();
    assert!(took > INTERVAL + EVERY.mul_f64(0.8) && took < INTERVAL + EVERY.mul_f64(1.2));

    checks.fail(&[]);
    assert_eq!(next().await, EventKind::ProbeStarted);
    checks.seen();
    assert_eq!(next().await, EventKind::Recovered);
    let took = ejected.elapsed() - took;
    let expected = INTERVAL + EVERY * 2;
    assert!(
        took.abs_diff(expected) <= EVERY.mul_f64(0.2) + Duration::from_millis(9),
        "{took:?}"
    );
    assert_eq!(peers.up_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn manual_restore_ends_probes() {
    let (peers, _, checks, balance) = checked(&["a"], |probe, checks| {
        probe.rise(10, EVERY).active_checks(checks)
    });
    send(&balance).await.unwrap();
    peers.eject("a", INTERVAL).unwrap();
    sleep(INTERVAL + EVERY / 2).await;
    assert_eq!(state_of(&peers, "a"), State::Probing);
    peers.restore("a").unwrap();
    assert_eq!(state_of(&peers, "a"), State::Up);
    checks.seen();
    sleep(EVERY * 20).await;
    assert!(
        checks.seen().len() <= 23,
        "only the checks of a peer that is up remain"
    );
    assert_eq!(peers.up_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn peer_has_one_check_at_a_time_within_the_limit() {
    let (peers, connector, checks) = (peers(&["a"]), ScriptedConnector::new(), Checks::default());
    *checks.hangs.lock().unwrap() = true;
    // Two balancers, both faster than the limit.
    let quick = || {
        let active = ActiveChecks::every(LIMIT / 10).fall(1000);
        let probe = Probe::new(checks.clone(), LIMIT).active_checks(active);
        layer(&peers).probe(probe).layer(connector.clone())
    };
    let balances: [Balanced; 2] = [quick(), quick()];
    for balance in &balances {
        send(balance).await.unwrap();
    }
    sleep(LIMIT * 50).await;
    let seen = checks.seen().len();
    assert!((40..=51).contains(&seen), "{seen}");
    assert_eq!(checks.most_out.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn only_peers_that_are_up_are_checked() {
    let (peers, connector, checks, balance) = checked(&["a", "b", "c"], |probe, checks| {
        probe.active_checks(checks)
    });
    send(&balance).await.unwrap();
    drop(connector.tickets());
    peers.eject("a", EVERY * 1000).unwrap();
    peers.drain("b").await.unwrap();
    sleep(EVERY * 20).await;
    assert!(checks.seen().iter().all(|peer| peer == "c"));
}

#[tokio::test(start_paused = true)]
async fn failed_checks_respect_the_floor() {
    let (peers, checks) = (peers(&["a", "b"]), Checks::default());
    let probe = Probe::new(checks.clone(), LIMIT).active_checks(ActiveChecks::every(EVERY));
    let balance = layer(&peers)
        .eject(evenhand::Eject::on_first().min_up(1))
        .probe(probe)
        .layer(ScriptedConnector::new());
    checks.fail(&["a", "b"]);
    send(&balance).await.unwrap();
    sleep(EVERY * 8).await;
    assert_eq!(peers.up_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn checks_end_with_the_balancer() {
    let (peers, connector, checks, balance) =
        checked(&["a"], |probe, checks| probe.active_checks(checks));
    let other = balance.clone();
    send(&balance).await.unwrap();
    drop(balance);
    sleep(EVERY * 5).await;
    assert!(!checks.seen().is_empty(), "a clone is left");
    drop((other, connector));
    sleep(EVERY * 5).await;
    assert!(checks.seen().len() <= 1);
    sleep(EVERY * 50).await;
    assert!(checks.seen().is_empty());
    drop(peers);
    assert_eq!(
        Arc::strong_count(&checks.seen),
        1,
        "the probe service is dropped"
    );
}

#[test]
fn checks_continue_on_another_runtime() {
    let (_, _, checks, balance) = checked(&["a"], |probe, checks| probe.active_checks(checks));
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            send(&balance).await.unwrap();
            sleep(EVERY * 10).await;
        });
        assert!(checks.seen().len() >= 7);
    }
}

#[tokio::test(start_paused = true)]
async fn probe_without_active_checks_checks_no_up_peer() {
    let (peers, checks) = (peers(&["a"]), Checks::default());
    let probe = Probe::new(checks.clone(), LIMIT);
    let balance = layer(&peers).probe(probe).layer(ScriptedConnector::new());
    send(&balance).await.unwrap();
    sleep(EVERY * 10).await;
    assert!(checks.seen().is_empty());
    assert_eq!(peers.up_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_balancer_ends_its_tasks_at_once() {
    let runtime = tokio::runtime::Handle::current().metrics();
    let before = runtime.num_alive_tasks();
    let (peers, checks) = (peers(&["a", "b"]), Checks::default());
    let probe = Probe::new(checks.clone(), 100 * INTERVAL);
    let probe = probe.active_checks(ActiveChecks::every(EVERY));
    let balance = layer(&peers).probe(probe).layer(ScriptedConnector::new());
    // A probe and a check hang while the balancer goes.
    *checks.hangs.lock().unwrap() = true;
    peers.eject("a", Duration::from_millis(1)).unwrap();
    let other = balance.clone();
    drop(balance);
    while checks.out.load(Ordering::SeqCst) < 2 {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(runtime.num_alive_tasks() > before, "a clone lives");

    let dropped = Instant::now();
    drop(other);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(runtime.num_alive_tasks(), before);
    assert_eq!(dropped.elapsed(), Duration::ZERO);
    assert_eq!(checks.out.load(Ordering::SeqCst), 0);
    let a = &peers.statuses()[0];
    assert_eq!((a.state, a.in_flight), (State::Ejected, 0));
}

#[tokio::test(start_paused = true)]
async fn what_traffic_proves_during_a_check_outweighs_it() {
    let (peers, _, checks, balance) =
        checked(&["a"], |probe, checks| probe.active_checks(checks.fall(1)));
    *checks.hangs.lock().unwrap() = true;
    while checks.out.load(Ordering::SeqCst) == 0 {
        sleep(LIMIT / 10).await;
    }
    send(&balance).await.unwrap();
    sleep(2 * LIMIT).await;
    assert_eq!(checks.out.load(Ordering::SeqCst), 0, "the check has failed");
    assert_eq!(peers.up_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn failed_checks_from_before_a_restore_do_not_count() {
    let (peers, _, checks, _balance) =
        checked(&["a"], |probe, checks| probe.active_checks(checks.fall(2)));
    checks.fail(&["a"]);
    let mut failed = 0;
    for expected in 1..=3 {
        while failed < expected {
            sleep(LIMIT / 10).await;
            failed += checks.seen().len();
        }
        sleep(LIMIT / 10).await;
        if expected == 1 {
            peers.eject("a", INTERVAL).unwrap();
            peers.restore("a").unwrap();
        }
        assert_eq!(peers.up_count(), usize::from(expected < 3), "{expected}");
    }
}
