//! How connections to a peer are encrypted.

use std::path::PathBuf;

use super::keys::keys;
use crate::plan::Tls;
use crate::read::context::Context;
use crate::read::value::Host;
use crate::tree::Table;

keys! {
    /// What a table says of TLS.
    struct TlsKeys {
        /// Also true if the table has one of the other keys.
        tls: bool,
        tls_ca: PathBuf,
        tls_cert: PathBuf,
        tls_key: PathBuf,
        tls_host_name: Host,
    }
}

const DETAILS: [&str; 4] = ["tls_ca", "tls_cert", "tls_key", "tls_host_name"];

pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> TlsKeys {
    let mut keys = TlsKeys::read(table, cx);
    if let Some(detail) = DETAILS.iter().find_map(|key| table.get(*key)) {
        if keys.tls == Some(false) {
            let message = format!("{} is false: remove one of the two", cx.spell("tls"));
            cx.report.key_error(&detail.location, message);
        }
        keys.tls = keys.tls.or(Some(true));
    }
    keys
}

impl TlsKeys {
    /// The merged settings. `tables` are those that were merged.
    pub(super) fn complete(self, tables: &[&Table], cx: &mut Context<'_>) -> Option<Tls> {
        if self.tls != Some(true) {
            return None;
        }
        let given = |key: &str| tables.iter().find_map(|table| table.get(key));
        for (key, other) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
            if let (Some(item), None) = (given(key), given(other)) {
                let message = format!("it needs {}: set both", cx.spell(other));
                cx.report.key_error(&item.location, message);
            }
        }
        Some(Tls {
            ca: self.tls_ca,
            identity: self.tls_cert.zip(self.tls_key),
            host_name: self.tls_host_name.map(|Host(name)| name),
        })
    }
}
