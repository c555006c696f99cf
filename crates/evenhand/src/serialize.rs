//! How times of statuses and events are serialised.
//!
//! A moment of the monotonic clock means nothing to another process. So each time is a number of
//! seconds with a fraction: until a moment to come, or since a moment that has passed, as of when the
//! value is serialised. The form is stable, but fields and kinds may be added. It is meant for
//! formats that name fields, such as JSON:
//!
//! | what | form |
//! | --- | --- |
//! | [`State`](crate::State) | `"up"`, `"ejected"`, `"probing"`, `"draining"` |
//! | [`Status`](crate::Status) | `{"peer":"db0","state":"ejected","next_probe_in":12.5,"in_flight":0,"weight":1,"tier":0,"for":17.5,"last_reason":"refused"}`; `next_probe_in` is `null` unless it is ejected, and 0 once the probe is due; `for` is the seconds in this state |
//! | [`EventKind`](crate::EventKind) | `{"kind":"recovered"}`; `{"kind":"ejected","reason":"refused","probe_in":30.0}`, and so `probe_failed`, where `reason` is `null` if none was given |
//! | [`Event`](crate::Event) | the fields of its kind, and `"peer":"db0","ago":0.2`: seconds since it happened; `"pool":"orders"` if the set is [named](crate::Peers::named) so; `"set":"all_down"` or `"set":"first_up"`, if it is of that kind |

use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::time::Instant;

/// Seconds until a moment; 0 once it has passed.
pub(crate) fn until<S: Serializer>(
    due: &Option<Instant>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let until = |due: Instant| due.saturating_duration_since(Instant::now()).as_secs_f64();
    due.map(until).serialize(serializer)
}

/// Seconds since a moment.
pub(crate) fn since<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    seconds(&at.elapsed(), serializer)
}

pub(crate) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
