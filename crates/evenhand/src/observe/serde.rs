//! Statuses and events for machines to read: the feature `serde`.
//!
//! A moment of the monotonic clock means nothing to another process, so every time is a number of
//! seconds, with a fraction: how long until a moment that is to come, or since one that has passed,
//! as of when the value is serialised. The form is kept stable, but fields and kinds may be added.
//! It is meant for formats that tell fields by name, such as JSON:
//!
//! | what | form |
//! | --- | --- |
//! | [`State`] | `"up"`, `"ejected"`, `"probing"`, `"draining"` |
//! | [`Status`] | `{"peer":"db0","state":"ejected","next_probe_in":12.5,"in_flight":0,"weight":1}`; `next_probe_in` is `null` unless it is ejected, and 0 once the probe is due |
//! | [`EventKind`] | `{"kind":"recovered"}`; `{"kind":"ejected","reason":"refused","probe_in":30.0}`, and so `probe_failed`, where `reason` is `null` if none was given |
//! | [`Event`] | its kind's, and before it `"peer":"db0","ago":0.2`: seconds since it happened |

use std::time::Duration;

use ::serde::ser::{Serialize, SerializeStruct, Serializer};
use tokio::time::Instant;

use crate::event::{Event, EventKind};
use crate::set::status::{State, Status};

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (index, name) = match self {
            Self::Up => (0, "up"),
            Self::Ejected => (1, "ejected"),
            Self::Probing => (2, "probing"),
            Self::Draining => (3, "draining"),
        };
        serializer.serialize_unit_variant("State", index, name)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let next_probe_in = self
            .next_probe
            .map(|due| due.saturating_duration_since(Instant::now()).as_secs_f64());
        let mut fields = serializer.serialize_struct("Status", 5)?;
        fields.serialize_field("peer", &*self.peer)?;
        fields.serialize_field("state", &self.state)?;
        fields.serialize_field("next_probe_in", &next_probe_in)?;
        fields.serialize_field("in_flight", &self.in_flight)?;
        fields.serialize_field("weight", &self.weight)?;
        fields.end()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = Form::of(self.kind);
        let mut fields = serializer.serialize_struct("Event", 2 + form.len())?;
        fields.serialize_field("peer", &*self.peer)?;
        fields.serialize_field("ago", &self.at.elapsed().as_secs_f64())?;
        form.write(&mut fields)?;
        fields.end()
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = Form::of(*self);
        let mut fields = serializer.serialize_struct("EventKind", form.len())?;
        form.write(&mut fields)?;
        fields.end()
    }
}

/// A kind's fields.
struct Form {
    kind: &'static str,
    out: Option<Out>,
}

/// What only those kinds have that leave the peer out.
struct Out {
    reason: Option<&'static str>,
    probe_in: Duration,
}

impl Form {
    fn of(kind: EventKind) -> Self {
        let plain = |kind| Self { kind, out: None };
        let out = |kind, reason, probe_in| Self {
            kind,
            out: Some(Out { reason, probe_in }),
        };
        match kind {
            EventKind::Ejected { reason, probe_in } => out("ejected", reason, probe_in),
            EventKind::ProbeStarted => plain("probe_started"),
            EventKind::ProbeFailed { reason, probe_in } => out("probe_failed", reason, probe_in),
            EventKind::ProbeAbandoned => plain("probe_abandoned"),
            EventKind::Recovered => plain("recovered"),
            EventKind::Added => plain("added"),
            EventKind::Removed => plain("removed"),
            EventKind::Draining => plain("draining"),
            EventKind::Restored => plain("restored"),
        }
    }

    fn len(&self) -> usize {
        if self.out.is_some() { 3 } else { 1 }
    }

    fn write<W: SerializeStruct>(&self, fields: &mut W) -> Result<(), W::Error> {
        fields.serialize_field("kind", self.kind)?;
        if let Some(Out { reason, probe_in }) = &self.out {
            fields.serialize_field("reason", reason)?;
            fields.serialize_field("probe_in", &probe_in.as_secs_f64())?;
        }
        Ok(())
    }
}
