//! Counters and gauges, by their documented names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::common::{Does, INTERVAL, REFUSE, ScriptedConnector, balance, layer, peers, send};
use evenhand::{AllDown, Cloned, Verdict};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tokio::time::{advance, sleep};
use tower::{Layer, Service};

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// Keeps every value by its name and labels, as Prometheus writes them.
#[derive(Clone, Default)]
struct Kept(Values);

struct One(Values, String);

impl One {
    fn update(&self, by: impl FnOnce(f64) -> f64) {
        let mut values = self.0.lock().unwrap();
        let value = values.entry(self.1.clone()).or_default();
        *value = by(*value);
    }
}

impl CounterFn for One {
    fn increment(&self, more: u64) {
        self.update(|value| value + more as f64);
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters only count")
    }
}

impl GaugeFn for One {
    fn increment(&self, more: f64) {
        self.update(|value| value + more);
    }

    fn decrement(&self, less: f64) {
        self.update(|value| value - less);
    }

    fn set(&self, to: f64) {
        self.update(|_| to);
    }
}

/// The sum, in whole milliseconds.
impl HistogramFn for One {
    fn record(&self, seconds: f64) {
        self.update(|sum| sum + (1000.0 * seconds).round());
    }
}

impl Kept {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(One(self.0.clone(), name))
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

/// The one recorder of this process; each test reads its own pool's values.
fn recorder() -> &'static Kept {
    static RECORDER: OnceLock<Kept> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let kept = Kept::default();
        metrics::set_global_recorder(kept.clone()).unwrap();
        kept
    })
}

/// The values recorded for a pool, after all events so far.
async fn recorded(pool: &str) -> Vec<String> {
    // The paused clock does not advance while the recorder's thread works.
    sleep(Duration::from_millis(100)).await;
    let label = format!("{{pool={pool}");
    let values = recorder().0.lock().unwrap();
    values
        .iter()
        .filter(|(name, _)| name.contains(&label))
        .map(|(name, value)| format!("{} {value}", name.replace(&format!("pool={pool},"), "")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn gauges_start_at_current_states_and_follow_them() {
    recorder();
    let peers = peers(&["a", "b", "c"]);
    peers.eject("a", INTERVAL).unwrap();
    let _guard = peers.record_metrics("gauges");
    assert_eq!(
        recorded("gauges").await,
        [
            "evenhand_peer_up{peer=a} 0",
            "evenhand_peer_up{peer=b} 1",
            "evenhand_peer_up{peer=c} 1",
            "evenhand_peers{state=draining} 0",
            "evenhand_peers{state=ejected} 1",
            "evenhand_peers{state=probing} 0",
            "evenhand_peers{state=up} 2",
        ]
    );
    peers.restore("a").unwrap();
    peers.drain("b").await.unwrap();
    peers.remove("c").unwrap();
    peers.add("d", ()).unwrap();
    assert_eq!(
        recorded("gauges").await,
        [
            "evenhand_peer_up{peer=a} 1",
            "evenhand_peer_up{peer=b} 0",
            "evenhand_peer_up{peer=c} 0",
            "evenhand_peer_up{peer=d} 1",
            "evenhand_peers{state=draining} 1",
            "evenhand_peers{state=ejected} 0",
            "evenhand_peers{state=probing} 0",
            "evenhand_peers{state=up} 2",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn ejections_probes_and_recoveries_are_counted() {
    recorder();
    let (peers, connector, balance) = balance(&["a"]);
    peers.record_metrics("counters").detach();
    let neutral = Does::Fail(Verdict::neutral());
    let down = Does::Fail(Verdict::down());
    connector.script([REFUSE, neutral, down, Does::Answer, down]);
    for wait in [INTERVAL, Duration::ZERO, INTERVAL, Duration::ZERO, INTERVAL] {
        let _ = send(&balance).await;
        advance(wait).await;
    }
    assert_eq!(
        recorded("counters").await,
        [
            "evenhand_ejections_total{peer=a,reason=refused} 1",
            "evenhand_ejections_total{peer=a,reason=unspecified} 1",
            "evenhand_peer_up{peer=a} 0",
            "evenhand_peers{state=draining} 0",
            "evenhand_peers{state=ejected} 1",
            "evenhand_peers{state=probing} 0",
            "evenhand_peers{state=up} 0",
            "evenhand_probes_total{peer=a,outcome=abandoned} 1",
            "evenhand_probes_total{peer=a,outcome=failed} 1",
            "evenhand_probes_total{peer=a,outcome=recovered} 1",
            "evenhand_recoveries_total{peer=a} 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn gauges_are_right_after_lost_events() {
    recorder();
    let peers = peers(&["a", "b", "c"]);
    peers.record_metrics("losses").detach();
    // No task runs meanwhile.
    peers.remove("c").unwrap();
    peers.eject("b", INTERVAL).unwrap();
    for _ in 0..600 {
        peers.eject("a", INTERVAL).unwrap();
        peers.restore("a").unwrap();
    }
    let recorded = recorded("losses").await;
    for expected in [
        "evenhand_ejections_total{peer=a,reason=by an operator} 512",
        "evenhand_events_lost_total{pool=losses} 178",
        "evenhand_peer_up{peer=a} 1",
        "evenhand_peer_up{peer=b} 0",
        "evenhand_peer_up{peer=c} 0",
        "evenhand_peers{state=up} 1",
    ] {
        assert!(recorded.iter().any(|line| line == expected), "{recorded:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn gauges_are_0_once_recording_ends() {
    recorder();
    for (name, guard_ends_it) in [("guard-ends", true), ("set-ends", false)] {
        let peers = peers(&["a", "b"]);
        peers.eject("b", INTERVAL).unwrap();
        let guard = peers.record_metrics(name);
        let before = recorded(name).await;
        assert!(before.contains(&"evenhand_peer_up{peer=a} 1".to_owned()));
        assert!(before.contains(&"evenhand_peers{state=ejected} 1".to_owned()));
        if guard_ends_it {
            drop(guard);
        } else {
            guard.detach();
            drop(peers);
        }
        let after = recorded(name).await;
        assert_eq!(after.len(), before.len());
        assert!(after.iter().all(|line| line.ends_with(" 0")), "{after:?}");
    }
}

/// As after a reload: the end of the old set must not hide the new one.
#[tokio::test(start_paused = true)]
async fn gauges_of_a_set_outlive_an_older_one_of_its_name() {
    recorder();
    let (old, new) = (peers(&["a", "b"]), peers(&["b", "c"]));
    let guard = old.record_metrics("reload");
    new.record_metrics("reload").detach();
    drop((guard, old));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        recorded("reload").await,
        [
            "evenhand_peer_up{peer=a} 0",
            "evenhand_peer_up{peer=b} 1",
            "evenhand_peer_up{peer=c} 1",
            "evenhand_peers{state=draining} 0",
            "evenhand_peers{state=ejected} 0",
            "evenhand_peers{state=probing} 0",
            "evenhand_peers{state=up} 2",
        ]
    );
}

const MILLISECOND: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn attempts_failovers_and_retries_are_counted() {
    recorder();
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    let balance = layer(&peers)
        .record_metrics("requests")
        .layer(connector.clone());
    connector.script([
        Does::AnswerAfter(20 * MILLISECOND),
        Does::Fail(Verdict::neutral().busy().because("full")),
        Does::FailAfter(5 * MILLISECOND, Verdict::degraded().safe()),
    ]);
    send(&balance).await.unwrap();
    // It comes back to the same peer, which is no failover.
    send(&balance).await.unwrap_err();
    peers.add("b", ()).unwrap();
    connector.tell("a", REFUSE);
    while peers.up_count() == 2 {
        send(&balance).await.unwrap();
    }
    let mut recorded = recorded("requests").await;
    recorded.retain(|line| line.contains("peer=a") && !line.contains("peer_up"));
    assert_eq!(
        recorded,
        [
            "evenhand_attempt_seconds{peer=a,outcome=degraded} 5",
            "evenhand_attempt_seconds{peer=a,outcome=down} 0",
            "evenhand_attempt_seconds{peer=a,outcome=healthy} 20",
            "evenhand_attempt_seconds{peer=a,outcome=neutral} 0",
            "evenhand_attempts_total{peer=a,outcome=degraded,reason=unspecified} 1",
            "evenhand_attempts_total{peer=a,outcome=down,reason=refused} 1",
            "evenhand_attempts_total{peer=a,outcome=healthy,reason=none} 1",
            "evenhand_attempts_total{peer=a,outcome=neutral,reason=full} 1",
            "evenhand_failovers_total{peer=a,reason=refused} 1",
            "evenhand_retries_total{peer=a} 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn waits_hedges_and_timeouts_are_counted() {
    recorder();
    let (peers, connector) = (peers(&["a", "b"]), ScriptedConnector::new());
    let layer = layer(&peers)
        .replay(Cloned::idempotent())
        .attempt_timeout(50 * MILLISECOND)
        .record_metrics("waits");
    peers.eject("a", INTERVAL).unwrap();
    peers.eject("b", INTERVAL).unwrap();
    let waiting = layer.clone().all_down(AllDown::WaitUpTo(INTERVAL));
    let balance = waiting.layer(connector.clone());
    let request = tokio::spawn(async move { send(&balance).await });
    sleep(3 * MILLISECOND).await;
    peers.restore("a").unwrap();
    request.await.unwrap().unwrap();

    peers.restore("b").unwrap();
    connector.tell_all(&["a", "b"], Does::Hang);
    let mut hedge = layer.hedge_after(20 * MILLISECOND).layer(connector);
    hedge.call("request").await.unwrap_err();
    let recorded = recorded("waits").await;
    for expected in [
        "evenhand_waits_total{pool=waits} 1",
        "evenhand_wait_seconds{pool=waits} 3",
    ] {
        assert!(recorded.iter().any(|line| line == expected), "{recorded:?}");
    }
    let of = |name: &str| {
        recorded
            .iter()
            .filter(|line| line.starts_with(name))
            .count()
    };
    assert_eq!(of("evenhand_hedges_total"), 1, "{recorded:?}");
    assert_eq!(
        of("evenhand_attempts_total{peer=a,outcome=degraded,reason=timed out}"),
        1
    );
    assert_eq!(
        of("evenhand_attempts_total{peer=b,outcome=degraded,reason=timed out}"),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn wait_that_the_deadline_ends_is_counted() {
    recorder();
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    peers.eject("a", INTERVAL).unwrap();
    let layer = layer(&peers).all_down(AllDown::WaitUpTo(INTERVAL));
    let balance = layer.deadline(7 * MILLISECOND).record_metrics("late");
    let error = send(&balance.layer(connector)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let recorded = recorded("late").await;
    let wait = "evenhand_wait_seconds{pool=late} 7";
    assert!(recorded.iter().any(|line| line == wait), "{recorded:?}");
}

#[tokio::test(start_paused = true)]
async fn wait_of_an_abandoned_request_is_counted() {
    recorder();
    let (peers, connector) = (peers(&["a"]), ScriptedConnector::new());
    peers.eject("a", INTERVAL).unwrap();
    let layer = layer(&peers).all_down(AllDown::WaitUpTo(INTERVAL));
    let mut balance = layer.record_metrics("abandoned").layer(connector);
    let mut request = std::pin::pin!(balance.call("request"));
    let early = tokio::time::timeout(7 * MILLISECOND, request.as_mut()).await;
    assert!(early.is_err());
    let error = request.as_mut().abandon();
    assert!(
        matches!(error, evenhand::Error::Exhausted { .. }),
        "{error}"
    );
    let recorded = recorded("abandoned").await;
    let wait = "evenhand_wait_seconds{pool=abandoned} 7";
    assert!(recorded.iter().any(|line| line == wait), "{recorded:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_only_where_it_is_asked_for() {
    recorder();
    let (peers, _, balance) = balance(&["a"]);
    peers.record_metrics("silent").detach();
    send(&balance).await.unwrap();
    let recorded = recorded("silent").await;
    assert!(
        recorded.iter().all(|line| !line.contains("attempt")),
        "{recorded:?}"
    );
}
