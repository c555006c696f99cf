//! What peers inherit. The nearest table that has a key counts: the peer's own, its balanced database's, the
//! defaults.

use super::keys::keys;
use super::password::{self, Password};
use super::tls::{self, TlsKeys};
use crate::read::context::Context;
use crate::tree::Table;

keys! {
    /// The inherited keys that are neither passwords nor about TLS. An empty text hides an inherited one.
    struct PeerKeys {
        user: String,
        name: String,
        pool_min: u32,
        pool_max: u32,
        reset_connection: bool,
        init: Vec<String>,
        setup: Vec<String>,
    }
}

/// What a table gives its peers.
#[derive(Clone, Default)]
pub(in crate::read) struct Inherited {
    pub(super) keys: PeerKeys,
    pub(super) password: Option<Password>,
    pub(super) tls: TlsKeys,
}

impl Inherited {
    pub(in crate::read) fn read(table: &Table, cx: &mut Context<'_>) -> Self {
        Inherited {
            keys: PeerKeys::read(table, cx),
            password: password::read(table, cx),
            tls: tls::read(table, cx),
        }
    }

    /// These keys, and those of `other` where they are not set.
    pub(super) fn or(self, other: &Inherited) -> Self {
        Inherited {
            keys: self.keys.or(&other.keys),
            password: self.password.or_else(|| other.password.clone()),
            tls: self.tls.or(&other.tls),
        }
    }
}
