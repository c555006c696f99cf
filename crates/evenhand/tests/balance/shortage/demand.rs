//! All peers are out, and requests wait: probes come sooner, and requests are let in gradually.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{AsTold, Does, REFUSE, ScriptedConnector, layer, peers, send, up_and_down};
use evenhand::{AllDown, BalanceLayer, Peer, Probe, Verdict};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower::{Layer, service_fn};

const WAITS: AllDown = AllDown::WaitUpTo(Duration::from_secs(3600));

/// The time from the return of one of three peers to the first request served.
async fn first_served_after(outage: Duration, with_prober: bool, seed: u64) -> Duration {
    let (peers, connector) = (peers(&["a", "b", "c"]), ScriptedConnector::new());
    connector.tell_all(&["a", "b", "c"], REFUSE);
    let mut layer = BalanceLayer::new(peers.clone()).classify(AsTold).seed(seed);
    if with_prober {
        let connector = connector.clone();
        let probe = move |peer: Peer<()>| {
            std::future::ready(connector.answers(peer.name()).then_some(()).ok_or(()))
        };
        layer = layer.probe(Probe::new(service_fn(probe), Duration::from_secs(1)));
    }
    let balance = layer.all_down(WAITS).layer(connector.clone());
    // A request finds out that all are down, and none waits while they are.
    let fails = tokio::time::timeout(Duration::from_millis(1), send(&balance)).await;
    assert!(fails.is_err());
    assert_eq!(up_and_down(&peers), (0, 3));
    sleep(outage - Duration::from_millis(700)).await;
    let request = tokio::spawn(async move { send(&balance).await });
    sleep(Duration::from_millis(700)).await;
    let start = Instant::now();
    connector.tell("b", Does::Answer);
    assert_eq!(request.await.unwrap().unwrap(), "b");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn first_request_is_served_soon_after_any_outage() {
    for outage in [3, 35, 3600] {
        for (with_prober, seed) in [(true, 1), (true, 2), (false, 3), (false, 4)] {
            let took = first_served_after(Duration::from_secs(outage), with_prober, seed).await;
            assert!(took <= Duration::from_millis(1500), "{outage} s: {took:?}");
        }
    }
}

/// A request that waits brings no time forward that a verdict or an operator set.
#[tokio::test(start_paused = true)]
async fn demand_keeps_to_times_that_were_set() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let balance = layer(&peers).all_down(WAITS).layer(connector.clone());
    let start = Instant::now();
    peers.eject("a", Duration::from_secs(50)).unwrap();
    let later = Verdict::down().safe().recover_in(Duration::from_secs(20));
    connector.script([Does::Fail(later)]);
    assert_eq!(send(&balance).await.unwrap(), "b");
    assert!(
        start.elapsed() >= Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    connector.attempts();
    peers.eject("b", Duration::from_secs(3600)).unwrap();
    assert_eq!(send(&balance).await.unwrap(), "a");
    assert!(
        start.elapsed() >= Duration::from_secs(50),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_let_in_gradually() {
    const WAITERS: u32 = 2000;
    let (peers, back) = (peers(&["a", "b", "c"]), Arc::new(AtomicBool::new(false)));
    let (in_flight, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (probed, (now, top)) = (back.clone(), (in_flight.clone(), most.clone()));
    let probe = service_fn(move |_: Peer<()>| {
        std::future::ready(probed.load(Ordering::SeqCst).then_some(()).ok_or(()))
    });
    let served = Arc::new(AtomicU32::new(0));
    let count = served.clone();
    let balance = BalanceLayer::new(peers.clone())
        .probe(Probe::new(probe, Duration::from_secs(1)))
        .all_down(WAITS)
        .seed(5)
        .layer(service_fn(move |_: evenhand::Attempt<(), ()>| {
            let (now, top, count) = (now.clone(), top.clone(), count.clone());
            async move {
                let others = now.fetch_add(1, Ordering::SeqCst);
                // How many are there at once before the peer has shown that it serves.
                if count.load(Ordering::SeqCst) < 16 {
                    top.fetch_max(others + 1, Ordering::SeqCst);
                }
                sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                count.fetch_add(1, Ordering::SeqCst);
                Ok::<(), std::io::Error>(())
            }
        }));
    for name in ["a", "b", "c"] {
        peers.eject(name, Duration::from_secs(60)).unwrap();
    }
    let mut waiters = JoinSet::new();
    for _ in 0..WAITERS {
        let mut balance = balance.clone();
        waiters.spawn(async move { tower::Service::call(&mut balance, ()).await });
    }
    sleep(Duration::from_secs(5)).await;
    back.store(true, Ordering::SeqCst);
    peers.restore("a").unwrap();
    let start = Instant::now();
    waiters.join_all().await;
    assert_eq!(served.load(Ordering::SeqCst), WAITERS);
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 100, "{most} at once");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(in_flight.load(Ordering::SeqCst), 0);
}

/// A request that is let in and dropped lets others in.
#[tokio::test(start_paused = true)]
async fn dropped_request_passes_its_turn_on() {
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers).all_down(WAITS).layer(connector.clone());
    peers.eject("a", Duration::from_secs(60)).unwrap();
    connector.script([Does::Hang]);
    let mut waiters: Vec<_> = (0..3)
        .map(|_| {
            let balance = balance.clone();
            tokio::spawn(async move { send(&balance).await })
        })
        .collect();
    tokio::task::yield_now().await;
    peers.restore("a").unwrap();
    tokio::task::yield_now().await;
    assert_eq!(connector.attempts().len(), 1);
    let start = Instant::now();
    waiters.remove(0).abort();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Others may probe the peer that refused it.
#[tokio::test(start_paused = true)]
async fn waiting_request_holds_no_probe_of_a_peer_that_refused_it() {
    let second = Duration::from_secs(1);
    // The probe is refused during the wait, or before it.
    for before in [Duration::ZERO, 2 * second] {
        let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
        let balance = layer(&peers).all_down(WAITS).layer(connector.clone());
        peers.eject("a", second).unwrap();
        peers.eject("b", 1000 * second).unwrap();
        sleep(before).await;
        connector.script([Does::Fail(Verdict::suspect().safe())]);
        let refused = tokio::spawn({
            let balance = balance.clone();
            async move { send(&balance).await }
        });
        sleep(2 * second).await;
        assert!(!refused.is_finished());
        let start = Instant::now();
        assert_eq!(send(&balance).await.unwrap(), "a");
        assert!(
            start.elapsed() < second,
            "{before:?}: {:?}",
            start.elapsed()
        );
        refused.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn drain_of_the_last_peer_that_is_up_brings_probes_forward() {
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let back = Arc::new(AtomicBool::new(false));
    let answers = back.clone();
    let probe = move |_: Peer<()>| {
        std::future::ready(answers.load(Ordering::SeqCst).then_some(()).ok_or(()))
    };
    let balance = BalanceLayer::new(peers.clone())
        .classify(AsTold)
        .probe(Probe::new(service_fn(probe), Duration::from_secs(1)))
        .all_down(WAITS)
        .layer(connector.clone());
    connector.tell("b", REFUSE);
    while peers.up_count() == 2 {
        send(&balance).await.unwrap();
    }
    sleep(Duration::from_secs(100)).await;
    connector.tell("a", Does::Fail(Verdict::neutral().safe()));
    let request = tokio::spawn(async move { send(&balance).await });
    sleep(Duration::from_secs(1)).await;
    let drain = tokio::spawn({
        let peers = peers.clone();
        async move { peers.drain("a").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(peers.up_count(), 0);
    connector.tell("b", Does::Answer);
    back.store(true, Ordering::SeqCst);
    let start = Instant::now();
    assert_eq!(request.await.unwrap().unwrap(), "b");
    assert!(
        start.elapsed() < Duration::from_millis(1500),
        "{:?}",
        start.elapsed()
    );
    drain.abort();
}
