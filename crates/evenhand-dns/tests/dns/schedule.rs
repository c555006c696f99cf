//! When lookups come, on a paused clock.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenhand_dns::{Discovery, Error, Source};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Follower, GUARD};

const SECOND: Duration = Duration::from_secs(1);

/// What a lookup is to do.
#[derive(Clone, Copy, Debug)]
enum Does {
    Lists(u8),
    Fails,
    Panics,
    Hangs,
}

/// A source that does as it is told, and notes when it was asked.
#[derive(Clone)]
struct Script {
    does: Arc<Mutex<Does>>,
    asked: Arc<Mutex<Vec<Instant>>>,
    running: Arc<AtomicU32>,
}

impl Script {
    fn new(does: Does) -> Self {
        Self {
            does: Arc::new(Mutex::new(does)),
            asked: Arc::default(),
            running: Arc::default(),
        }
    }

    fn source(&self, interval: Duration) -> Source {
        let script = self.clone();
        Source::function("registry", interval, move || script.clone().look())
    }

    async fn look(self) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(Instant::now());
        self.running.fetch_add(1, SeqCst);
        let running = Running(self.running.clone());
        let does = *self.does.lock().unwrap();
        match does {
            Does::Lists(n) => {
                let list = (1..=n).map(|n| SocketAddr::from(([10, 0, 0, n], 1)));
                Ok(list.collect())
            }
            Does::Fails => Err(io::Error::other("no registry")),
            Does::Panics => panic!("as it was told"),
            Does::Hangs => {
                pending::<()>().await;
                drop(running);
                Ok(Vec::new())
            }
        }
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The times between lookups, in seconds.
    fn pauses(&self) -> Vec<f64> {
        let asked = self.asked.lock().unwrap();
        let pairs = asked.windows(2);
        pairs
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect()
    }
}

struct Running(Arc<AtomicU32>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn follower(script: &Script, interval: Duration) -> Follower {
    Follower::new(Discovery::new([script.source(interval)]))
}

#[tokio::test(start_paused = true)]
async fn lookup_comes_again_when_its_time_is_over() {
    let script = Script::new(Does::Lists(1));
    let mut follower = follower(&script, 30 * SECOND);
    follower.during(sleep(3600 * SECOND)).await;
    let pauses = script.pauses();
    assert!((108..=120).contains(&pauses.len()), "{}", pauses.len());
    assert!(
        pauses.iter().all(|pause| (30.0..=33.1).contains(pause)),
        "{pauses:?}"
    );
    assert_eq!(follower.told, ["+10.0.0.1:1"]);
}

#[tokio::test(start_paused = true)]
async fn interval_of_zero_is_a_second_and_a_long_one_five_minutes() {
    for (interval, bounds) in [
        (Duration::ZERO, 1.0..=1.101),
        (Duration::MAX, 300.0..=330.1),
    ] {
        let script = Script::new(Does::Lists(1));
        let mut follower = follower(&script, interval);
        follower.during(sleep(3600 * SECOND)).await;
        let pauses = script.pauses();
        assert!(
            pauses.len() > 5 && pauses.iter().all(|p| bounds.contains(p)),
            "{pauses:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn lookups_that_fail_come_at_growing_pauses() {
    for does in [Does::Fails, Does::Panics, Does::Lists(0)] {
        let script = Script::new(does);
        let mut follower = follower(&script, 300 * SECOND);
        follower.during(sleep(200 * SECOND)).await;
        let pauses = script.pauses();
        for (pause, expected) in pauses
            .iter()
            .zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0])
        {
            assert!(
                (expected..=expected * 1.1 + 0.001).contains(pause),
                "{does:?}: {pauses:?}"
            );
        }
        assert!((8..=10).contains(&pauses.len()), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn function_that_panics_is_called_again() {
    let script = Script::new(Does::Panics);
    let mut follower = follower(&script, SECOND);
    follower.during(sleep(3 * SECOND)).await;
    let error = follower.changes.handle().sources()[0]
        .error
        .clone()
        .unwrap();
    assert!(matches!(*error, Error::Panicked { .. }), "{error:?}");
    script.does(Does::Lists(2));
    follower.until(&["10.0.0.1:1", "10.0.0.2:1"]).await;
}

#[tokio::test(start_paused = true)]
async fn function_that_hangs_is_dropped_at_the_time_limit_and_the_list_stays() {
    let script = Script::new(Does::Lists(2));
    let mut follower = follower(&script, SECOND);
    follower.until(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    script.does(Does::Hangs);
    follower.during(sleep(20 * SECOND)).await;
    assert_eq!(script.running.load(SeqCst), 1);
    follower.during(sleep(13 * SECOND)).await;
    let error = follower.changes.handle().sources()[0]
        .error
        .clone()
        .unwrap();
    let text = "the lookup of `registry` took longer than 30s";
    assert_eq!(error.to_string(), text);
    follower.during(sleep(300 * SECOND)).await;
    assert!(script.running.load(SeqCst) <= 1);
    script.does(Does::Lists(1));
    follower.until(&["10.0.0.1:1"]).await;
    assert_eq!(follower.told.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn lookups_go_on_while_the_stream_is_not_polled() {
    let script = Script::new(Does::Lists(1));
    let mut follower = follower(&script, 10 * SECOND);
    follower.until(&["10.0.0.1:1"]).await;
    script.does(Does::Lists(3));
    sleep(600 * SECOND).await;
    script.does(Does::Lists(2));
    sleep(600 * SECOND).await;
    assert!(script.count() > 100, "{}", script.count());
    // What came and went is not told.
    follower.until(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    assert_eq!(follower.told, ["+10.0.0.1:1", "+10.0.0.2:1"]);
}

#[tokio::test(start_paused = true)]
async fn poll_that_is_dropped_loses_no_change() {
    let script = Script::new(Does::Lists(5));
    let mut follower = follower(&script, SECOND);
    for n in 0..40 {
        script.does(Does::Lists(1 + n % 9));
        tokio::select! {
            () = sleep(SECOND / 3) => {}
            () = follower.step() => {}
        }
    }
    script.does(Does::Lists(3));
    // It asserts that what is removed was told before.
    follower
        .until(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"])
        .await;
}

#[tokio::test(start_paused = true)]
async fn lookups_begin_with_the_first_poll_and_end_with_the_stream() {
    let script = Script::new(Does::Lists(1));
    let mut follower = follower(&script, SECOND);
    sleep(10 * SECOND).await;
    assert_eq!(script.count(), 0);
    follower.until(&["10.0.0.1:1"]).await;
    script.does(Does::Hangs);
    sleep(10 * SECOND).await;
    let count = script.count();
    drop(follower);
    sleep(100 * SECOND).await;
    assert_eq!((script.count(), script.running.load(SeqCst)), (count, 0));
}

#[tokio::test(start_paused = true)]
async fn lookup_that_is_asked_for_keeps_the_shortest_pause() {
    let script = Script::new(Does::Lists(1));
    let mut follower = follower(&script, 300 * SECOND);
    let handle = follower.changes.handle();
    // Asked for before the first: that is one.
    handle.look_now();
    follower.until(&["10.0.0.1:1"]).await;
    follower.during(sleep(10 * SECOND)).await;
    assert_eq!(script.count(), 1);
    // Asked for after the shortest pause, it comes at once.
    let asked = Instant::now();
    handle.look_now();
    follower.during(sleep(SECOND / 100)).await;
    assert_eq!(script.count(), 2);
    assert!(*script.asked.lock().unwrap().last().unwrap() - asked < SECOND / 100);
    // Asked for all the time, it comes once a second.
    let until = Instant::now() + 10 * SECOND;
    while Instant::now() < until {
        handle.look_now();
        follower.during(sleep(SECOND / 50)).await;
    }
    assert!((11..=12).contains(&script.count()), "{}", script.count());
    follower.during(sleep(100 * SECOND)).await;
    assert!(script.count() <= 13, "{}", script.count());
}

#[tokio::test(start_paused = true)]
async fn asking_again_before_the_lookup_comes_is_one_lookup() {
    let script = Script::new(Does::Lists(1));
    let mut follower = follower(&script, 300 * SECOND);
    let handle = follower.changes.handle();
    follower.until(&["10.0.0.1:1"]).await;
    for _ in 0..3 {
        handle.look_now();
        follower.during(sleep(SECOND / 5)).await;
    }
    assert_eq!(script.count(), 1);
    follower.during(sleep(250 * SECOND)).await;
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn lookup_that_is_asked_for_while_one_runs_comes_after_it() {
    let script = Script::new(Does::Hangs);
    let mut follower = follower(&script, 300 * SECOND);
    follower.during(sleep(29 * SECOND)).await;
    follower.changes.handle().look_now();
    script.does(Does::Lists(1));
    follower.until(&["10.0.0.1:1"]).await;
    let pauses = script.pauses();
    assert_eq!(pauses.len(), 1);
    assert!((31.0..31.01).contains(&pauses[0]), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn first_lookups_of_all_sources_can_be_waited_for() {
    let (works, fails) = (Script::new(Does::Lists(1)), Script::new(Does::Hangs));
    let sources = [works.source(SECOND), fails.source(SECOND)];
    let mut follower = Follower::new(Discovery::new(sources));
    let handle = follower.changes.handle();
    let began = Instant::now();
    let settled = async { handle.settled().await };
    follower.during(settled).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
    let settled: Vec<_> = handle
        .sources()
        .iter()
        .map(|s| s.answered.is_some())
        .collect();
    assert_eq!(settled, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn wait_for_the_first_lookups_ends_with_the_stream() {
    let script = Script::new(Does::Hangs);
    let changes = Discovery::new([script.source(SECOND)]).changes();
    let handle = changes.handle();
    let waiting = tokio::spawn(async move { handle.settled().await });
    tokio::task::yield_now().await;
    drop(changes);
    let ended = timeout(GUARD, waiting).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(Error::Ended)), "{ended:?}");

    let script = Script::new(Does::Lists(1));
    let mut follower = Follower::new(Discovery::new([script.source(SECOND)]));
    follower.until(&["10.0.0.1:1"]).await;
    let handle = follower.changes.handle();
    drop(follower);
    // What had been looked up by then was.
    assert!(handle.settled().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn kept_list_is_dropped_when_its_time_is_over() {
    let script = Script::new(Does::Lists(2));
    let discovery = Discovery::new([script.source(10 * SECOND)]).keep_for(60 * SECOND);
    let mut follower = Follower::new(discovery);
    follower.until(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    let began = Instant::now();
    script.does(Does::Fails);
    follower.until(&[]).await;
    // The lookup that was due after 10 s to 11 s failed first.
    let after = began.elapsed().as_secs_f64();
    assert!((70.0..=71.1).contains(&after), "{after}");
}
