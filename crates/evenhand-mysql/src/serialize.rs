//! How usage and reports are serialised. Times are seconds with a fraction. The form is stable, but fields
//! and kinds may be added. It is meant for formats that name fields, such as JSON:
//!
//! | what | form |
//! | --- | --- |
//! | [`Usage`](crate::Usage), [`PeerUsage`](crate::PeerUsage) | their fields; a state as [`State`](crate::State) |
//! | [`Report`] | `{"all_online":true,"databases":{"default":[..]}}`, with a list of peers for each alias |
//! | [`PeerReport`] | its fields and `"online":true`; `facts` and `fault` are `null` if there are none |
//! | [`PeerFault`] | `{"kind":"login_refused","message":".."}`, with the text that `Display` shows |
//! | [`PeerFacts`](crate::PeerFacts), [`GaleraFacts`](crate::GaleraFacts) | their fields; `null` for what the peer does not tell |
//! | [`Change`](crate::Change) | `"opened"`, `"closed"`, `"reopened"`, `"peers"` |

use std::time::Duration;

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::report::{PeerFault, PeerReport, Report};

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 2)?;
        report.serialize_field("all_online", &self.all_online())?;
        report.serialize_field("databases", &ByAlias(&self.databases))?;
        report.end()
    }
}

struct ByAlias<'a>(&'a [(String, Vec<PeerReport>)]);

impl Serialize for ByAlias<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (alias, peers) in self.0 {
            map.serialize_entry(alias, peers)?;
        }
        map.end()
    }
}

impl Serialize for PeerReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("PeerReport", 5)?;
        report.serialize_field("peer", &self.peer)?;
        report.serialize_field("address", &self.address)?;
        report.serialize_field("online", &self.is_online())?;
        report.serialize_field("facts", &self.facts)?;
        report.serialize_field("fault", &self.fault)?;
        report.end()
    }
}

impl Serialize for PeerFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match self {
            Self::Unreachable(_) => "unreachable",
            Self::NoAnswer(_) => "no_answer",
            Self::LoginRefused(_) => "login_refused",
            Self::Failed(_) => "failed",
            Self::NotReady(_) => "not_ready",
        };
        let mut fault = serializer.serialize_struct("PeerFault", 2)?;
        fault.serialize_field("kind", kind)?;
        fault.serialize_field("message", &self.to_string())?;
        fault.end()
    }
}

/// A time, if there is one, in seconds.
pub(crate) fn seconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let seconds = time.map(|time| time.as_secs_f64());
    seconds.serialize(serializer)
}
