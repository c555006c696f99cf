//! The one recorder of this process. A test reads the values of its own pools, by their names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Keeps every value by its name and labels. Of a histogram it is the number of its values.
#[derive(Default)]
pub(super) struct Kept {
    values: Mutex<BTreeMap<String, Arc<One>>>,
    described: Mutex<BTreeSet<String>>,
    labels: Mutex<BTreeMap<String, BTreeSet<Vec<String>>>>,
}

#[derive(Default)]
struct One(Mutex<f64>);

impl One {
    fn update(&self, by: impl FnOnce(f64) -> f64) {
        let mut value = self.0.lock().unwrap();
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

impl HistogramFn for One {
    fn record(&self, seconds: f64) {
        assert!((0.0..3600.0).contains(&seconds), "{seconds} s");
        self.update(|value| value + 1.0);
    }
}

impl Kept {
    fn one(&self, key: &Key) -> Arc<One> {
        let names = key.labels().map(|label| label.key().to_owned());
        let mut labels = self.labels.lock().unwrap();
        let own = labels.entry(key.name().to_owned()).or_default();
        own.insert(names.collect());
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let labels = labels.collect::<Vec<_>>().join(",");
        let name = format!("{}{{{labels}}}", key.name());
        self.values.lock().unwrap().entry(name).or_default().clone()
    }

    fn describe(&self, key: &KeyName) {
        let name = key.as_str().to_owned();
        self.described.lock().unwrap().insert(name);
    }

    pub(super) fn described(&self) -> BTreeSet<String> {
        self.described.lock().unwrap().clone()
    }

    /// By metric: the names of the labels that its values have.
    pub(super) fn labels(&self) -> BTreeMap<String, BTreeSet<Vec<String>>> {
        self.labels.lock().unwrap().clone()
    }
}

impl Recorder for &Kept {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

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

/// Installs the recorder if none is.
pub(super) fn recorder() -> &'static Kept {
    static RECORDER: OnceLock<Kept> = OnceLock::new();
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let kept = RECORDER.get_or_init(Kept::default);
    INSTALLED.get_or_init(|| metrics::set_global_recorder(kept).ok().unwrap());
    kept
}

/// The value of this metric for a pool, 0 if it has none. `labels` are those after the pool.
pub(super) fn value(pool: &str, metric: &str, labels: &str) -> f64 {
    recorded(pool, metric, labels).unwrap_or(0.0)
}

/// The same, `None` if the pool has none.
pub(super) fn recorded(pool: &str, metric: &str, labels: &str) -> Option<f64> {
    let labels = match labels {
        "" => format!("pool={pool}"),
        labels => format!("pool={pool},{labels}"),
    };
    let values = recorder().values.lock().unwrap();
    let one = values.get(&format!("{metric}{{{labels}}}"));
    one.map(|one| *one.0.lock().unwrap())
}

/// All values of a pool with their names and labels, without the pool's.
pub(super) fn values(pool: &str) -> BTreeMap<String, f64> {
    let own = format!("pool={pool},");
    let values = recorder().values.lock().unwrap();
    let own = values.iter().filter_map(|(name, one)| {
        let name = name.contains(&own).then(|| name.replace(&own, ""))?;
        Some((name, *one.0.lock().unwrap()))
    });
    own.collect()
}
