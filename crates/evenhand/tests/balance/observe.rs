//! Observers get the events of peers and delay no request.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::common::{INTERVAL, balance, peers, send};
use evenhand::{Event, EventKind, Observer, Peers};
use tokio::sync::Notify;
use tokio::time::{Instant, advance, timeout};

/// A time limit on a paused clock: longer than anything that ends takes.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Records its events. A test can make it panic at an event or wait before each.
#[derive(Clone, Default)]
struct Notes {
    told: Arc<Mutex<Vec<String>>>,
    lost: Arc<Mutex<u64>>,
    more: Arc<Notify>,
    panic_at: Option<EventKind>,
    gate: Option<Arc<Mutex<mpsc::Receiver<()>>>>,
}

impl Observer for Notes {
    fn event(&self, event: &Event) {
        if let Some(gate) = &self.gate {
            let _ = gate.lock().unwrap().recv();
        }
        assert_ne!(
            Some(event.kind),
            self.panic_at,
            "the test asked for a panic"
        );
        self.told.lock().unwrap().push(event.to_string());
        self.more.notify_one();
    }

    fn lost(&self, events: u64) {
        *self.lost.lock().unwrap() += events;
    }
}

impl Notes {
    /// Its events, once there are at least `count`.
    async fn all(&self, count: usize) -> Vec<String> {
        loop {
            let told = self.told.lock().unwrap().clone();
            if told.len() >= count {
                return told;
            }
            timeout(PATIENCE, self.more.notified()).await.unwrap();
        }
    }
}

async fn finished(guard: &evenhand::TaskGuard) {
    let end = Instant::now() + PATIENCE;
    while !guard.is_finished() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(guard.is_finished());
}

#[tokio::test(start_paused = true)]
async fn observer_gets_all_events_in_order() {
    let peers = peers(&["a", "b"]);
    let notes = Notes::default();
    let _guard = peers.observe(notes.clone());
    for _ in 0..100 {
        peers.eject("a", INTERVAL).unwrap();
        peers.restore("a").unwrap();
    }
    peers.remove("b").unwrap();
    let told = notes.all(201).await;
    for pair in told[..200].chunks(2) {
        assert_eq!(pair[0], "a ejected (by an operator); next probe in 30.0s");
        assert_eq!(pair[1], "a was restored by an operator");
    }
    assert_eq!(told[200..], ["b was removed"]);
}

#[tokio::test(start_paused = true)]
async fn closure_is_an_observer() {
    let peers = peers(&["a"]);
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    let told = move |event: &Event| told.send(event.kind).unwrap();
    peers.observe(told).detach();
    peers.remove("a").unwrap();
    assert_eq!(tell.recv().await, Some(EventKind::Removed));
}

#[tokio::test(start_paused = true)]
async fn panicking_observer_gets_later_events() {
    let (peers, _connector, balance) = balance(&["a", "b"]);
    let notes = Notes {
        panic_at: Some(EventKind::Restored),
        ..Notes::default()
    };
    let guard = peers.observe(notes.clone());
    peers.eject("a", INTERVAL).unwrap();
    peers.restore("a").unwrap();
    peers.remove("a").unwrap();
    assert_eq!(send(&balance).await.unwrap(), "b");
    let told = notes.all(2).await;
    assert_eq!(told[1..], ["a was removed"]);
    assert!(!guard.is_finished());
}

/// On one thread, which an observer would block for good if it ran there.
#[tokio::test(start_paused = true)]
async fn blocked_observer_delays_no_request() {
    let (peers, _connector, balance) = balance(&["a", "b"]);
    let (open, gate) = mpsc::channel();
    let notes = Notes {
        gate: Some(Arc::new(Mutex::new(gate))),
        ..Notes::default()
    };
    let _guard = peers.observe(notes.clone());
    peers.eject("a", INTERVAL).unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        assert_eq!(send(&balance).await.unwrap(), "b");
        peers.restore("a").unwrap();
        peers.eject("a", INTERVAL).unwrap();
    }
    drop(open);
    // The event in progress, and then those that the queue holds.
    let told = notes.all(1 + 1024).await;
    assert!(told.last().unwrap().starts_with("a ejected"));
    assert_eq!(*notes.lost.lock().unwrap(), 2000 - 1024);
}

#[tokio::test(start_paused = true)]
async fn end_of_the_set_delivers_all_events_and_ends_the_task() {
    let peers = peers(&["a"]);
    let notes = Notes::default();
    let guard = peers.observe(notes.clone());
    peers.eject("a", INTERVAL).unwrap();
    peers.remove("a").unwrap();
    drop(peers);
    finished(&guard).await;
    assert_eq!(notes.all(2).await[1], "a was removed");
}

#[tokio::test(start_paused = true)]
async fn dropped_guard_ends_the_observer() {
    let peers = Peers::new([("a", 1)]).unwrap();
    let notes = Notes::default();
    drop(peers.observe(notes.clone()));
    peers.remove("a").unwrap();
    advance(INTERVAL).await;
    assert_eq!(Arc::strong_count(&notes.told), 1, "the observer is gone");
    assert!(notes.told.lock().unwrap().is_empty());
}
