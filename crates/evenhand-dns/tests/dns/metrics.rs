//! What is counted, by its documented names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenhand_dns::evenhand::MetricKind;
use evenhand_dns::{Discovery, METRICS, Source};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::support::{Follower, MIN_TTL, eventually};

/// Every value by its name and labels. Of a histogram, how often it was recorded.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, f64>>>);

struct One(Kept, String);

impl One {
    fn update(&self, by: impl FnOnce(f64) -> f64) {
        let mut values = self.0.0.lock().unwrap();
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
    fn increment(&self, _: f64) {
        unreachable!("gauges are set")
    }

    fn decrement(&self, _: f64) {
        unreachable!("gauges are set")
    }

    fn set(&self, to: f64) {
        self.update(|_| to);
    }
}

impl HistogramFn for One {
    fn record(&self, _: f64) {
        self.update(|count| count + 1.0);
    }
}

impl Kept {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels = key.labels();
        let labels: Vec<_> = labels
            .map(|l| format!("{}={}", l.key(), l.value()))
            .collect();
        Arc::new(One(
            self.clone(),
            format!("{}{{{}}}", key.name(), labels.join(",")),
        ))
    }

    fn value(&self, name: &str) -> f64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0.0)
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

type List = Arc<Mutex<Result<Vec<SocketAddr>, &'static str>>>;

#[tokio::test]
async fn lookups_and_changes_are_counted_under_documented_names() {
    let kept = Kept::default();
    let _recorded = metrics::set_default_local_recorder(&kept);
    let list = List::new(Mutex::new(Ok(vec![([10, 0, 0, 1], 1).into()])));
    let listed = list.clone();
    let source = Source::function("registry", Duration::ZERO, move || {
        let now = listed.lock().unwrap().clone();
        async move { now }
    });
    let discovery = Discovery::new([source]).min_ttl(MIN_TTL).max_retry(MIN_TTL);
    let mut follower = Follower::new(discovery);
    follower.until(&["10.0.0.1:1"]).await;
    *list.lock().unwrap() = Ok(vec![([10, 0, 0, 2], 1).into(), ([10, 0, 0, 3], 1).into()]);
    follower.until(&["10.0.0.2:1", "10.0.0.3:1"]).await;

    let counts = [
        (
            "evenhand_discovery_changes_total{source=registry,change=joined}",
            3.0,
        ),
        (
            "evenhand_discovery_changes_total{source=registry,change=left}",
            1.0,
        ),
        ("evenhand_discovery_addresses{source=registry}", 2.0),
    ];
    for (name, expected) in counts {
        assert_eq!(kept.value(name), expected, "{name}");
    }
    let outcomes = [(Ok(Vec::new()), "empty"), (Err("no registry"), "failed")];
    for (now, outcome) in outcomes {
        *list.lock().unwrap() = now;
        let name = format!("evenhand_discovery_lookups_total{{source=registry,outcome={outcome}}}");
        follower
            .during(eventually("it is counted", || kept.value(&name) >= 1.0))
            .await;
    }
    assert_eq!(
        kept.value("evenhand_discovery_addresses{source=registry}"),
        2.0
    );
    assert!(
        kept.value("evenhand_discovery_lookups_total{source=registry,outcome=answered}") >= 2.0
    );

    // The stream ends, and with it the list.
    drop(follower);
    eventually("the gauge falls", || {
        kept.value("evenhand_discovery_addresses{source=registry}") == 0.0
    })
    .await;

    // Each name is in the table, with its labels, and each of the table was recorded.
    let recorded: BTreeMap<String, Vec<String>> = kept
        .0
        .lock()
        .unwrap()
        .keys()
        .map(|key| {
            let (name, labels) = key.trim_end_matches('}').split_once('{').unwrap();
            let labels = labels
                .split(',')
                .map(|label| label.split_once('=').unwrap().0.to_owned());
            (name.to_owned(), labels.collect())
        })
        .collect();
    let table: BTreeMap<String, Vec<String>> = METRICS
        .iter()
        .map(|metric| {
            let labels = metric.labels.iter().map(|label| label.to_string());
            (metric.name.to_owned(), labels.collect())
        })
        .collect();
    assert_eq!(recorded, table);
    assert!(
        METRICS
            .iter()
            .any(|metric| metric.kind == MetricKind::Seconds)
    );
}

/// A recorder that panics at every use.
struct Broken;

impl Recorder for Broken {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("it is broken")
    }
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("it is broken")
    }
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("it is broken")
    }
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        panic!("it is broken")
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("it is broken")
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("it is broken")
    }
}

#[tokio::test]
async fn recorder_that_panics_ends_no_lookups() {
    let _recorded = metrics::set_default_local_recorder(&Broken);
    let list = List::new(Mutex::new(Ok(vec![([10, 0, 0, 1], 1).into()])));
    let listed = list.clone();
    let source = Source::function("registry", Duration::ZERO, move || {
        let now = listed.lock().unwrap().clone();
        async move { now }
    });
    let mut follower = Follower::new(Discovery::new([source]).min_ttl(MIN_TTL));
    follower.until(&["10.0.0.1:1"]).await;
    *list.lock().unwrap() = Ok(vec![([10, 0, 0, 2], 1).into()]);
    follower.until(&["10.0.0.2:1"]).await;
}
