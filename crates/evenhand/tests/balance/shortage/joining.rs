//! Peers that join on proof take no request before their first probe has succeeded, and old peers stay
//! until then.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{
    Balanced, Does, INTERVAL, REFUSE, ScriptedConnector, balance, layer, peers, send, up_and_down,
};
use evenhand::{AllDown, Attempt, BalanceLayer, Peer, Peers, PeersError, Probe, State};
use tokio::time::sleep;
use tower::{Layer, service_fn};

fn names<P>(peers: &Peers<P>) -> Vec<String> {
    peers.iter().map(|peer| peer.name().to_owned()).collect()
}

/// A balancer whose probes ask the connector.
fn probing(peers: &Peers<()>) -> (ScriptedConnector, Balanced) {
    let connector = ScriptedConnector::new();
    let asked = connector.clone();
    let probe = move |peer: Peer<()>| {
        std::future::ready(asked.answers(peer.name()).then_some(()).ok_or(()))
    };
    let probe = Probe::new(service_fn(probe), Duration::from_secs(1));
    let balance = layer(peers).probe(probe).layer(connector.clone());
    (connector, balance)
}

/// Lets background tasks run until they wait.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// On two threads, without a pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_joining_peer_takes_a_request_before_its_probe() {
    const JOINS: u32 = 200;
    let (peers, proved) = (peers(&["stays"]), Arc::new(Mutex::new(HashSet::new())));
    proved.lock().unwrap().insert("stays".to_owned());
    let (early, taken) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let probe = service_fn({
        let proved = proved.clone();
        move |peer: Peer<()>| {
            let proved = proved.clone();
            async move {
                tokio::task::yield_now().await;
                proved.lock().unwrap().insert(peer.name().to_owned());
                Ok::<(), ()>(())
            }
        }
    });
    let connector = service_fn({
        let (early, taken) = (early.clone(), taken.clone());
        move |attempt: Attempt<(), ()>| {
            let is_proved = proved.lock().unwrap().contains(attempt.peer.name());
            early.fetch_add(u32::from(!is_proved), Ordering::SeqCst);
            taken.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::task::yield_now().await;
                Ok::<(), ()>(())
            }
        }
    });
    let balance = BalanceLayer::new(peers.clone())
        .probe(Probe::new(probe, Duration::from_secs(5)))
        .layer(connector);
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (mut balance, stop) = (balance.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    tower::Service::call(&mut balance, ()).await.unwrap();
                }
            })
        })
        .collect();
    // The prober runs.
    while taken.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    let joining = peers.joining_on_proof();
    for n in 0..JOINS {
        joining.add(n.to_string(), ()).unwrap();
        while peers.up_count() < n as usize + 2 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(early.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_probe_one_request_at_a_time_is_the_proof() {
    let (peers, connector, balance) = balance(&["a"]);
    peers.joining_on_proof().add("b", ()).unwrap();
    let status = peers.statuses().remove(1);
    assert_eq!(status.state, State::Ejected);
    assert!(status.next_probe.is_some());
    connector.tell("b", Does::Hang);
    let proof = tokio::spawn({
        let balance = balance.clone();
        async move { send(&balance).await }
    });
    settle().await;
    assert_eq!(connector.attempts(), ["b"]);
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), "a");
    }
    proof.abort();
    assert!(proof.await.unwrap_err().is_cancelled());
    connector.attempts();

    // A failed proof is a failed probe.
    connector.tell("b", REFUSE);
    assert_eq!(send(&balance).await.unwrap(), "a");
    assert_eq!(connector.attempts(), ["b", "a"]);
    sleep(INTERVAL).await;
    connector.tell("b", Does::Answer);
    assert_eq!(send(&balance).await.unwrap(), "b");
    assert_eq!(up_and_down(&peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_request_goes_to_the_first_peer_that_joins_on_proof() {
    let peers = peers(&[]);
    let balance = layer(&peers)
        .all_down(AllDown::WaitUpTo(INTERVAL))
        .layer(ScriptedConnector::new());
    let request = tokio::spawn(async move { send(&balance).await });
    settle().await;
    peers.joining_on_proof().add("a", ()).unwrap();
    assert_eq!(request.await.unwrap().unwrap(), "a");
}

/// With traffic and without.
#[tokio::test(start_paused = true)]
async fn replacement_never_leaves_fewer_peers_up() {
    let old: Vec<String> = (0..10).map(|n| format!("old-{n}")).collect();
    let new: Vec<String> = (0..10).map(|n| format!("new-{n}")).collect();
    for with_traffic in [true, false] {
        let peers = Peers::new(old.iter().map(|name| (name.clone(), ()))).unwrap();
        let (connector, balance) = probing(&peers);
        new.iter().for_each(|name| connector.tell(name, REFUSE));
        let replaced = new.iter().map(|name| (name.clone(), ()));
        peers.joining_on_proof().replace_all(replaced).unwrap();
        settle().await;
        assert_eq!(up_and_down(&peers), (10, 10));
        for (n, name) in (1..).zip(&new) {
            connector.tell(name, Does::Answer);
            for _ in 0..2 * INTERVAL.as_secs() {
                sleep(Duration::from_secs(1)).await;
                assert!(peers.up_count() >= 10);
                if with_traffic {
                    send(&balance).await.unwrap();
                }
            }
            let left = names(&peers)
                .iter()
                .filter(|n| n.starts_with("old"))
                .count();
            assert_eq!(left, 10 - n, "one leaves for each that came up");
            assert_eq!(up_and_down(&peers), (10, 10 - n));
        }
        assert_eq!(names(&peers), new);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_never_proves_itself_pushes_none_out() {
    let peers = peers(&["a", "b"]);
    let (connector, balance) = probing(&peers);
    connector.tell("c", REFUSE);
    let joining = peers.joining_on_proof();
    joining.replace_all([("c", ())]).unwrap();
    sleep(20 * INTERVAL).await;
    assert_eq!(names(&peers), ["a", "b", "c"]);
    assert_ne!(send(&balance).await.unwrap(), "c");
    connector.tell("c", Does::Answer);
    sleep(2 * INTERVAL).await;
    assert_eq!(names(&peers), ["c"], "all leave once all new ones are up");
}

#[tokio::test(start_paused = true)]
async fn old_peers_that_are_out_leave_first() {
    let (peers, _, balance) = balance(&["a", "b", "c"]);
    peers.eject("b", INTERVAL).unwrap();
    let joining = peers.joining_on_proof();
    joining.replace_all([("d", ()), ("e", ())]).unwrap();
    send(&balance).await.unwrap();
    send(&balance).await.unwrap();
    peers.restore("d").unwrap();
    send(&balance).await.unwrap();
    assert!(!names(&peers).contains(&"b".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn last_replacement_decides() {
    let (peers, _, _) = balance(&["a", "b", "c"]);
    let joining = peers.joining_on_proof();
    joining.replace_all([("a", ()), ("d", ())]).unwrap();
    assert_eq!(names(&peers), ["a", "b", "c", "d"]);
    joining.replace_all([("b", ()), ("e", ())]).unwrap();
    assert_eq!(names(&peers), ["a", "b", "c", "e"], "`d` was never up");
    joining.replace_all([("b", ())]).unwrap();
    assert_eq!(names(&peers), ["b"], "none is waited for");
    joining.replace_all([("b", ()), ("f", ())]).unwrap();
    joining.replace_all([("g", ())]).unwrap();
    joining.replace_all([("b", ()), ("g", ())]).unwrap();
    peers.restore("g").unwrap();
    assert_eq!(up_and_down(&peers), (2, 0), "`b` is wanted again");
    joining.replace_all([("g", ())]).unwrap();
    assert_eq!(names(&peers), ["g"]);
    joining.replace_all([("h", ())]).unwrap();
    peers.replace_all([("i", ())]).unwrap();
    assert_eq!(names(&peers), ["i"], "a plain replacement is at once");
}

#[tokio::test(start_paused = true)]
async fn changed_target_of_a_name_is_proved_beside_the_old_one() {
    let peers = Peers::new([("a", 1)]).unwrap();
    let mut events = peers.subscribe();
    let connector = service_fn(async |attempt: Attempt<i32, ()>| Ok::<i32, ()>(*attempt.peer));
    let mut balance = BalanceLayer::new(peers.clone()).layer(connector);
    let joining = peers.joining_on_proof();
    joining.replace_all([("a", 7)]).unwrap();
    let states: Vec<_> = peers.iter().map(|peer| (*peer, peer.state())).collect();
    assert_eq!(states, [(1, State::Up), (7, State::Ejected)]);
    let twice = joining.add("a", 8).unwrap_err();
    assert_eq!(twice, PeersError::Duplicate("a".into()));
    for _ in 0..2 {
        let answer = tower::Service::call(&mut balance, ()).await.unwrap();
        assert_eq!(answer, 7);
    }
    let targets: Vec<i32> = peers.iter().map(|peer| *peer).collect();
    assert_eq!(targets, [7]);
    let mut told = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        told.push(event.to_string());
    }
    let expected = ["was added", "is being probed", "recovered", "was removed"];
    assert_eq!(told, expected.map(|what| format!("a {what}")));
}

#[tokio::test(start_paused = true)]
async fn removed_newcomer_is_waited_for_no_more() {
    let (peers, _, balance) = balance(&["a", "b"]);
    let joining = peers.joining_on_proof();
    joining.replace_all([("b", ()), ("c", ())]).unwrap();
    peers.remove("c").unwrap();
    assert_eq!(names(&peers), ["b"]);
    assert_eq!(send(&balance).await.unwrap(), "b");
}

#[cfg(feature = "discover")]
#[tokio::test(start_paused = true)]
async fn discovered_peers_replace_old_ones_as_they_prove_themselves() {
    use evenhand::discover::Change;
    use futures_util::stream;

    let peers = peers(&["a", "b"]);
    let (connector, _balance) = probing(&peers);
    connector.tell_all(&["c", "d"], REFUSE);
    let (found, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let changes = stream::poll_fn(move |cx| sent.poll_recv(cx));
    let _guard = peers.joining_on_proof().follow(changes);
    // Each in a batch of its own.
    for change in [
        Change::Insert("c", ()),
        Change::Remove("a"),
        Change::Insert("d", ()),
        Change::Remove("b"),
    ] {
        found.send(Ok::<_, &str>(change)).unwrap();
        settle().await;
    }
    sleep(10 * INTERVAL).await;
    assert_eq!(names(&peers), ["a", "b", "c", "d"]);
    connector.tell("c", Does::Answer);
    sleep(2 * INTERVAL).await;
    assert_eq!(names(&peers), ["b", "c", "d"]);
    found.send(Ok(Change::Insert("b", ()))).unwrap();
    connector.tell("d", Does::Answer);
    sleep(2 * INTERVAL).await;
    assert_eq!(names(&peers), ["b", "c", "d"], "`b` was found again");
}
