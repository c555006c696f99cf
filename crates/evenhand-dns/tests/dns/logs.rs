//! What is logged, and how often.

use std::cell::RefCell;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use evenhand_dns::{Discovery, Source};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, span};

use crate::support::Follower;

thread_local! {
    /// Level and text of each line of this thread, which is its test's alone.
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the lines of each thread. It is the process's subscriber: with one a test, tracing may take what one test
/// does not want for what none wants.
struct Lines;

impl Lines {
    fn keep() {
        static SET: Once = Once::new();
        SET.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
    }

    fn of(level: Level) -> Vec<String> {
        LINES.with_borrow(|lines| {
            let lines = lines.iter().filter(|(of, _)| *of == level);
            lines.map(|(_, line)| line.clone()).collect()
        })
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("evenhand_dns")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let line = (*event.metadata().level(), text.0);
        LINES.with_borrow_mut(|lines| lines.push(line));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

type List = Arc<Mutex<Result<Vec<SocketAddr>, &'static str>>>;

fn follower(list: &List) -> Follower {
    let list = list.clone();
    let source = Source::function("registry", Duration::from_secs(5), move || {
        let now = list.lock().unwrap().clone();
        async move { now }
    });
    Follower::new(Discovery::new([source]).max_addresses(2))
}

fn addresses(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|n| ([10, 0, 0, n], 1).into()).collect()
}

#[tokio::test(start_paused = true)]
async fn failure_is_one_warning_until_lookups_work_again() {
    Lines::keep();
    let list = List::new(Mutex::new(Ok(addresses(1))));
    let mut follower = follower(&list);
    follower.during(sleep(Duration::from_secs(60))).await;
    assert!(Lines::of(Level::WARN).is_empty() && Lines::of(Level::INFO).is_empty());

    *list.lock().unwrap() = Err("no registry");
    follower.during(sleep(Duration::from_secs(300))).await;
    let warnings = Lines::of(Level::WARN);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("source=registry") && warnings[0].contains("no registry"));

    *list.lock().unwrap() = Ok(addresses(1));
    follower.during(sleep(Duration::from_secs(60))).await;
    let again = Lines::of(Level::INFO);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(Lines::of(Level::WARN).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_change_is_a_debug_line_with_its_peer() {
    Lines::keep();
    let list = List::new(Mutex::new(Ok(addresses(2))));
    let mut follower = follower(&list);
    follower.until(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    *list.lock().unwrap() = Ok(addresses(1));
    follower.until(&["10.0.0.1:1"]).await;
    let changes = Lines::of(Level::DEBUG);
    assert_eq!(changes.len(), 3, "{changes:?}");
    for (line, (change, peer)) in changes.iter().zip([
        ("joined", "10.0.0.1:1"),
        ("joined", "10.0.0.2:1"),
        ("left", "10.0.0.2:1"),
    ]) {
        assert!(line.contains(change) && line.contains(peer), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_addresses_are_one_warning_until_there_are_fewer() {
    Lines::keep();
    let list = List::new(Mutex::new(Ok(addresses(5))));
    let mut follower = follower(&list);
    follower.during(sleep(Duration::from_secs(60))).await;
    let warnings = Lines::of(Level::WARN);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("left_out=3"), "{warnings:?}");
    *list.lock().unwrap() = Ok(addresses(2));
    follower.during(sleep(Duration::from_secs(60))).await;
    *list.lock().unwrap() = Ok(addresses(3));
    follower.during(sleep(Duration::from_secs(60))).await;
    assert_eq!(Lines::of(Level::WARN).len(), 2);
}
