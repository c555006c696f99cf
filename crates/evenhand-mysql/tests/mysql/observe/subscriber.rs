//! A subscriber of one test, on its thread, which keeps the spans and events of this project's crates.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// A span or an event.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) level: Level,
    pub(super) parent: Option<usize>,
    pub(super) fields: BTreeMap<String, String>,
}

impl Seen {
    /// A field that may be missing.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        self.fields.insert(field.name().to_owned(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields
            .insert(field.name().to_owned(), value.to_owned());
    }
}

/// What was seen. Spans are in the order in which they began.
#[derive(Clone, Default)]
pub(super) struct Kept {
    spans: Arc<Mutex<Vec<Seen>>>,
    events: Arc<Mutex<Vec<Seen>>>,
    entered: Arc<Mutex<Vec<usize>>>,
}

impl Kept {
    /// Keeps what happens on this thread until the guard is dropped.
    pub(super) fn set() -> (Self, DefaultGuard) {
        let kept = Self::default();
        let guard = tracing::subscriber::set_default(kept.clone());
        (kept, guard)
    }

    /// The spans of these names.
    #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "there are none"))]
    pub(super) fn spans(&self, names: &[&str]) -> Vec<Seen> {
        let spans = self.spans.lock().unwrap();
        let named = spans.iter().filter(|span| names.contains(&&*span.name));
        named.cloned().collect()
    }

    #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "there are none"))]
    pub(super) fn parent(&self, span: &Seen) -> Option<Seen> {
        let spans = self.spans.lock().unwrap();
        span.parent.map(|parent| spans[parent].clone())
    }

    /// The events of this level.
    pub(super) fn events(&self, level: Level) -> Vec<Seen> {
        let events = self.events.lock().unwrap();
        let own = events.iter().filter(|event| event.level == level);
        own.cloned().collect()
    }

    fn seen(name: impl Display, level: Level, parent: Option<usize>) -> Seen {
        Seen {
            name: name.to_string(),
            level,
            parent,
            fields: BTreeMap::new(),
        }
    }

    fn current(&self) -> Option<usize> {
        self.entered.lock().unwrap().last().copied()
    }
}

fn index(id: &Id) -> usize {
    id.into_u64() as usize - 1
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("evenhand")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let metadata = attributes.metadata();
        let mut span = Self::seen(metadata.name(), *metadata.level(), self.current());
        attributes.record(&mut span);
        let mut spans = self.spans.lock().unwrap();
        spans.push(span);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        values.record(&mut self.spans.lock().unwrap()[index(id)]);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut seen = Self::seen(metadata.target(), *metadata.level(), self.current());
        event.record(&mut seen);
        self.events.lock().unwrap().push(seen);
    }

    fn enter(&self, id: &Id) {
        self.entered.lock().unwrap().push(index(id));
    }

    fn exit(&self, id: &Id) {
        let mut entered = self.entered.lock().unwrap();
        let last = entered.iter().rposition(|entered| *entered == index(id));
        entered.remove(last.unwrap());
    }
}
