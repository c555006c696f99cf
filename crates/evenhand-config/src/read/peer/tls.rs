//! How connections to a peer are encrypted.

use std::path::PathBuf;

use super::context::{Context, given};
use super::host;
use crate::plan::Tls;
use crate::problem::Finding;
use crate::sources;
use crate::tree::Table;

const DETAILS: [&str; 4] = ["tls_ca", "tls_cert", "tls_key", "tls_host_name"];

/// What one table says of it.
#[derive(Clone, Default)]
pub(super) struct TlsKeys {
    /// Also where a detail says so.
    on: Option<bool>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    host_name: Option<String>,
}

pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> TlsKeys {
    let on = cx.switch(table, "tls");
    let detail = DETAILS.iter().find_map(|key| table.get(*key));
    if let (Some(false), Some(detail)) = (on, detail) {
        let message = format!("{} is false: remove one of the two", cx.spell("tls"));
        cx.report.add(&detail.key_at, &detail.path, message);
    }
    TlsKeys {
        on: on.or(detail.map(|_| true)),
        ca: file(table, "tls_ca", cx),
        cert: file(table, "tls_cert", cx),
        key: file(table, "tls_key", cx),
        host_name: host::read(table, "tls_host_name", cx),
    }
}

/// A file that must be there.
fn file(table: &Table, key: &str, cx: &mut Context<'_>) -> Option<PathBuf> {
    let (item, kind) = given(table, key)?;
    let name = cx.string(item, kind)?;
    let path = cx.sources.path(name);
    let message = if name.is_empty() {
        "empty: give the path of a file".to_owned()
    } else if !cx.sources.reads_files() {
        return Some(path);
    } else {
        match sources::check_file(&path) {
            Ok(()) => {
                cx.inputs_push(path.clone());
                return Some(path);
            }
            Err(error) => format!("cannot be read: {error}"),
        }
    };
    let finding = Finding::new(message).allowed(kind.expected());
    cx.report.wrong(item, finding);
    None
}

impl TlsKeys {
    pub(super) fn or(self, other: &TlsKeys) -> TlsKeys {
        TlsKeys {
            on: self.on.or(other.on),
            ca: self.ca.or_else(|| other.ca.clone()),
            cert: self.cert.or_else(|| other.cert.clone()),
            key: self.key.or_else(|| other.key.clone()),
            host_name: self.host_name.or_else(|| other.host_name.clone()),
        }
    }

    /// What it comes to. `tables` are those that were merged.
    pub(super) fn complete(self, tables: &[&Table], cx: &mut Context<'_>) -> Option<Tls> {
        if self.on != Some(true) {
            return None;
        }
        let has = |key: &str| tables.iter().find_map(|table| table.get(key));
        for (one, other) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
            if let (Some(item), None) = (has(one), has(other)) {
                let message = format!("only with {}: give that too", cx.spell(other));
                cx.report.add(&item.key_at, &item.path, message);
            }
        }
        Some(Tls {
            ca: self.ca,
            identity: self.cert.zip(self.key),
            host_name: self.host_name,
        })
    }
}
