//! Peers that come from service discovery.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use crate::common::{INTERVAL, balance, layer, send};
use evenhand::discover::Change;
use evenhand::{AllDown, EventKind, Peers, Placed, State, TaskGuard};
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};
use tower::Layer;
use tracing::{Level, Metadata, span};

type Found<P> = Result<Change<&'static str, P>, &'static str>;

/// A stream of the changes that are sent.
fn changes<P>(
    mut sent: UnboundedReceiver<Found<P>>,
) -> impl stream::Stream<Item = Found<P>> + Send + 'static
where
    P: Send + 'static,
{
    stream::poll_fn(move |cx| sent.poll_recv(cx))
}

fn follow<P>(peers: &Peers<P>) -> (UnboundedSender<Found<P>>, TaskGuard)
where
    P: PartialEq + Send + Sync + 'static,
{
    let (send, sent) = unbounded_channel();
    (send, peers.follow(changes(sent)))
}

/// Lets the task run until it waits.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn names<P>(peers: &Peers<P>) -> Vec<String> {
    peers.iter().map(|peer| peer.name().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn changes_apply_while_no_request_runs() {
    let (peers, connector, balance) = balance(&["a"]);
    let (found, _guard) = follow(&peers);
    found.send(Ok(Change::Insert("b", ()))).unwrap();
    found.send(Ok(Change::Insert("c", ()))).unwrap();
    found.send(Ok(Change::Remove("a"))).unwrap();
    settle().await;
    assert_eq!(names(&peers), ["b", "c"]);

    found.send(Ok(Change::Remove("b"))).unwrap();
    settle().await;
    assert!(connector.attempts().is_empty());
    for _ in 0..10 {
        assert_eq!(send(&balance).await.unwrap(), "c");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_request_goes_to_the_first_peer_found() {
    let peers = crate::common::peers(&[]);
    let balance = layer(&peers)
        .all_down(AllDown::WaitUpTo(INTERVAL))
        .layer(crate::common::ScriptedConnector::new());
    let (found, _guard) = follow(&peers);
    let request = tokio::spawn(async move { send(&balance).await });
    settle().await;
    found.send(Ok(Change::Insert("a", ()))).unwrap();
    assert_eq!(request.await.unwrap().unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn equal_peer_keeps_its_state_and_a_changed_one_is_new() {
    let peers = Peers::new([("a", 1), ("b", 2)]).unwrap();
    peers.eject("a", INTERVAL).unwrap();
    peers.eject("b", INTERVAL).unwrap();
    let (found, _guard) = follow(&peers);
    let mut events = peers.subscribe();
    found.send(Ok(Change::Insert("a", 1))).unwrap();
    found.send(Ok(Change::Insert("b", 7))).unwrap();
    settle().await;
    let states: Vec<_> = peers.iter().map(|peer| (*peer, peer.state())).collect();
    assert_eq!(states, [(1, State::Ejected), (7, State::Up)]);
    let mut told = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        told.push((event.peer.to_string(), event.kind));
    }
    assert_eq!(
        told,
        [
            ("b".to_owned(), EventKind::Removed),
            ("b".to_owned(), EventKind::Added)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn peers_are_compared_by_the_callers_function() {
    struct Opaque(u32);
    let peers = Peers::new([("a", Opaque(1)), ("b", Opaque(10))]).unwrap();
    let (send, sent) = unbounded_channel();
    let _guard = peers.follow_by(changes(sent), |old, new| old.0 % 2 == new.0 % 2);
    send.send(Ok(Change::Insert("a", Opaque(3)))).unwrap();
    send.send(Ok(Change::Insert("b", Opaque(11)))).unwrap();
    settle().await;
    let data: Vec<u32> = peers.iter().map(|peer| peer.0).collect();
    assert_eq!(data, [1, 11]);
}

#[tokio::test(start_paused = true)]
async fn unknown_removals_and_duplicates_are_ignored() {
    let peers = crate::common::peers(&["a"]);
    let (found, guard) = follow(&peers);
    found.send(Ok(Change::Remove("ghost"))).unwrap();
    found.send(Ok(Change::Insert("b", ()))).unwrap();
    found.send(Ok(Change::Insert("b", ()))).unwrap();
    found.send(Ok(Change::Insert("c", ()))).unwrap();
    found.send(Ok(Change::Remove("c"))).unwrap();
    settle().await;
    assert_eq!(names(&peers), ["a", "b"]);
    assert!(!guard.is_finished());
}

#[tokio::test(start_paused = true)]
async fn error_keeps_the_set_and_later_changes_apply() {
    let peers = crate::common::peers(&["a"]);
    let (found, _guard) = follow(&peers);
    for _ in 0..2 {
        let before = peers.len();
        found.send(Err("lost the registry")).unwrap();
        found
            .send(Ok(Change::Insert(["b", "c"][before - 1], ())))
            .unwrap();
        sleep(Duration::from_millis(990)).await;
        assert_eq!(
            peers.len(),
            before,
            "the stream is not polled during the pause"
        );
        sleep(Duration::from_millis(20)).await;
        assert_eq!(peers.len(), before + 1, "the pause is 1 s each time");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_stream_is_polled_with_backoff() {
    let peers = crate::common::peers(&["a"]);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let failing = stream::poll_fn({
        let asked = asked.clone();
        move |_| {
            asked.lock().unwrap().push(Instant::now());
            Poll::Ready(Some(Found::<()>::Err("no registry")))
        }
    });
    let guard = peers.follow(failing);
    sleep(Duration::from_secs(150)).await;
    let pauses: Vec<u64> = asked
        .lock()
        .unwrap()
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs())
        .collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert!(!guard.is_finished());
}

/// Records the levels of trace events.
#[derive(Clone, Default)]
struct Levels(Arc<Mutex<Vec<Level>>>);

impl tracing::Subscriber for Levels {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "evenhand::discover"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_error_is_a_warning() {
    let levels = Levels::default();
    let _traced = tracing::subscriber::set_default(levels.clone());
    let peers = crate::common::peers(&["a"]);
    let (found, _guard) = follow(&peers);
    found.send(Err("no registry")).unwrap();
    found.send(Err("no registry")).unwrap();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(*levels.0.lock().unwrap(), [Level::WARN, Level::WARN]);
}

#[tokio::test(start_paused = true)]
async fn end_of_stream_keeps_the_set() {
    let peers = crate::common::peers(&["a"]);
    let (found, guard) = follow(&peers);
    found.send(Ok(Change::Insert("b", ()))).unwrap();
    drop(found);
    settle().await;
    assert!(guard.is_finished());
    assert_eq!(names(&peers), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn dropped_guard_stops_and_detached_guard_does_not() {
    let peers = crate::common::peers(&["a"]);
    let (found, guard) = follow(&peers);
    drop(guard);
    // The stream is dropped, or the change is not read.
    let _ = found.send(Ok(Change::Insert("b", ())));
    settle().await;
    assert_eq!(names(&peers), ["a"]);
    assert!(found.is_closed());

    let (found, guard) = follow(&peers);
    guard.detach();
    found.send(Ok(Change::Insert("b", ()))).unwrap();
    settle().await;
    assert_eq!(names(&peers), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn end_of_the_set_stops_the_task() {
    for fails in [false, true] {
        let peers = crate::common::peers(&["a"]);
        let (found, guard) = follow(&peers);
        if fails {
            found.send(Err("no registry")).unwrap();
        }
        settle().await;
        assert!(!guard.is_finished());
        drop(peers);
        settle().await;
        assert!(guard.is_finished() && found.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn endless_stream_yields_to_other_tasks() {
    let peers = Peers::new([("a", 0)]).unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let endless = stream::poll_fn({
        let count = count.clone();
        move |_| {
            let n = count.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Found::Ok(Change::Insert("a", n))))
        }
    });
    let guard = peers.follow(endless);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(guard);
    tokio::task::yield_now().await;
    let reached = count.load(Ordering::Relaxed);
    tokio::task::yield_now().await;
    assert_eq!(count.load(Ordering::Relaxed), reached);
    assert!(*peers.iter().next().unwrap() > 0);
}

#[tokio::test(start_paused = true)]
async fn last_change_of_a_batch_counts() {
    let peers = Peers::new([("a", 1), ("b", 2)]).unwrap();
    let mut events = peers.subscribe();
    let (found, _guard) = follow(&peers);
    found.send(Ok(Change::Remove("a"))).unwrap();
    found.send(Ok(Change::Insert("b", 3))).unwrap();
    found.send(Ok(Change::Insert("a", 1))).unwrap();
    found.send(Ok(Change::Insert("b", 2))).unwrap();
    settle().await;
    assert_eq!(events.try_next().unwrap(), None, "the set is unchanged");
}

#[tokio::test(start_paused = true)]
async fn discovered_weights_are_those_of_the_peers() {
    let peers = Peers::new([("a", 1), ("b", 2)]).unwrap();
    peers.set_weight("b", 5).unwrap();
    let (found, sent) = unbounded_channel::<Found<Placed<i32>>>();
    let _guard = peers.follow_placed(changes(sent));
    let weights = || -> Vec<(String, u32)> {
        let statuses = peers.statuses().into_iter();
        statuses
            .map(|status| (status.peer.to_string(), status.weight))
            .collect()
    };
    let expected = |weights: &[(&str, u32)]| -> Vec<(String, u32)> {
        weights
            .iter()
            .map(|(name, weight)| ((*name).to_owned(), *weight))
            .collect()
    };
    let mut events = peers.subscribe();
    found
        .send(Ok(Change::Insert("a", Placed::new(1).weight(7))))
        .unwrap();
    found
        .send(Ok(Change::Insert("c", Placed::new(3).weight(0))))
        .unwrap();
    settle().await;
    assert_eq!(weights(), expected(&[("a", 7), ("b", 5), ("c", 0)]));
    let joined = events
        .try_next()
        .unwrap()
        .map(|event| event.peer.to_string());
    assert_eq!(joined.as_deref(), Some("c"), "`a` is the same peer");
    assert_eq!(events.try_next().unwrap(), None);
    // A new target: a new peer, of the new weight.
    found
        .send(Ok(Change::Insert("a", Placed::new(4).weight(2))))
        .unwrap();
    settle().await;
    assert_eq!(weights(), expected(&[("b", 5), ("c", 0), ("a", 2)]));
}
