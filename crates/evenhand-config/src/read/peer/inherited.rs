//! What a peer is given, and what it inherits.
//!
//! The nearest table that has a key counts: the peer's own, its balanced database's, the defaults. Each
//! table is read once, and each peer is completed once for every table that lends to it.

use super::address::{self, Own};
use super::context::Context;
use super::mysql_url;
use super::password::{self, Password};
use super::tls::{self, TlsKeys};
use crate::plan::{Address, Connections, Peer};
use crate::problem::Finding;
use crate::secret::Secret;
use crate::tree::Table;

/// What a table says of peers.
#[derive(Clone, Default)]
pub(super) struct Lent {
    /// An empty one hides what would be inherited; so do the other texts.
    user: Option<String>,
    password: Option<Password>,
    name: Option<String>,
    pool_min: Option<u32>,
    pool_max: Option<u32>,
    reset_connection: Option<bool>,
    tls: TlsKeys,
}

/// A peer as its own table has it.
pub(super) struct OwnPeer<'t> {
    alias: &'t str,
    table: &'t Table,
    address: Option<Own>,
    weight: Option<u32>,
    own: Lent,
}

/// What the driver calls the keys that may also stand in a url.
const IN_URLS: [(&str, &str); 4] = [
    ("pool_min", "pool_min"),
    ("pool_max", "pool_max"),
    ("reset_connection", "reset_connection"),
    ("tls", "require_ssl"),
];

pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Lent {
    Lent {
        user: cx.text(table, "user"),
        password: password::read(table, cx),
        name: cx.text(table, "name"),
        pool_min: cx.integer(table, "pool_min"),
        pool_max: cx.integer(table, "pool_max"),
        reset_connection: cx.switch(table, "reset_connection"),
        tls: tls::read(table, cx),
    }
}

pub(super) fn own<'t>(alias: &'t str, table: &'t Table, cx: &mut Context<'_>) -> OwnPeer<'t> {
    let address = address::read(table, cx);
    if let Some(Own::Url(url)) = &address {
        for (key, parameter) in IN_URLS {
            if let (Some(item), true) = (table.get(key), mysql_url::has(url, parameter)) {
                let message = "the url's query says it too: remove one of the two";
                cx.report.add(&item.key_at, &item.path, message);
            }
        }
    }
    OwnPeer {
        alias,
        table,
        address,
        weight: cx.integer(table, "weight"),
        own: read(table, cx),
    }
}

impl Lent {
    fn or(self, other: &Lent) -> Lent {
        Lent {
            user: self.user.or_else(|| other.user.clone()),
            password: self.password.or_else(|| other.password.clone()),
            name: self.name.or_else(|| other.name.clone()),
            pool_min: self.pool_min.or(other.pool_min),
            pool_max: self.pool_max.or(other.pool_max),
            reset_connection: self.reset_connection.or(other.reset_connection),
            tls: self.tls.or(&other.tls),
        }
    }
}

impl OwnPeer<'_> {
    /// The peer with all that it inherits, nearest lender first; none if its address is wrong.
    pub(super) fn complete(
        &self,
        lenders: &[(&Table, &Lent)],
        cx: &mut Context<'_>,
    ) -> Option<Peer> {
        let mut all = self.own.clone();
        for (_, lent) in lenders {
            all = all.or(lent);
        }
        let mut tables = vec![self.table];
        tables.extend(lenders.iter().map(|(table, _)| *table));
        if let Some(Own::Url(url)) = &self.address {
            // What a url says is nearer than what is inherited.
            let says = |parameter| mysql_url::has(url, parameter);
            if says("pool_min") || says("pool_max") {
                all.pool_min = self.own.pool_min;
                all.pool_max = self.own.pool_max;
            }
            if says("reset_connection") {
                all.reset_connection = None;
            }
            if says("require_ssl") {
                all.tls = self.own.tls.clone();
            }
            self.warn_of_what_a_url_lacks(url, &all, cx);
        }
        self.check_pool(&all, &tables, cx);
        let tls = all.tls.complete(&tables, cx);
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (address, password_source) = match self.address.as_ref()? {
            Own::Url(url) => (Address::Url(Secret::from(url.as_str())), None),
            Own::Host { host, port } => {
                let password = all.password.filter(|password| password.secret.is_some());
                let source = password.as_ref().map(|password| password.source.clone());
                let address = Address::Parts {
                    host: host.clone(),
                    port: *port,
                    user: filled(all.user),
                    password: password.and_then(|password| password.secret),
                    name: filled(all.name),
                };
                (address, source)
            }
        };
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Some(Peer {
            alias: self.alias.to_owned(),
            address,
            password_source,
            weight: self.weight,
            connections: Connections {
                pool_min: all.pool_min.map(count),
                pool_max: all.pool_max.map(count),
                reset_connection: all.reset_connection,
            },
            tls,
        })
    }

    /// Somebody may take what a balanced database or the defaults lend for granted.
    fn warn_of_what_a_url_lacks(&self, url: &str, all: &Lent, cx: &mut Context<'_>) {
        let (own, has) = (&self.own, mysql_url::parts(url));
        let lent = [
            ("user", all.user.is_some() && own.user.is_none()),
            ("password", all.password.is_some() && own.password.is_none()),
            ("name", all.name.is_some() && own.name.is_none()),
        ];
        let lacks: Vec<String> = lent
            .into_iter()
            .filter(|(part, lent)| *lent && !has.contains(part))
            .map(|(part, _)| cx.spell(part))
            .collect();
        if let (Some(url), false) = (self.table.get("url"), lacks.is_empty()) {
            let finding = Finding::new(format!(
                "it says no {}, and inherits none: a url is the whole address",
                lacks.join(", ")
            ));
            cx.report.warn(&url.key_at, &url.path, finding);
        }
    }

    fn check_pool(&self, all: &Lent, tables: &[&Table], cx: &mut Context<'_>) {
        const DEFAULT_POOL_MAX: u32 = 100;
        let most = all.pool_max.unwrap_or(DEFAULT_POOL_MAX);
        let Some(least) = all.pool_min.filter(|&least| least > most) else {
            return;
        };
        let keys = ["pool_min", "pool_max"];
        let nearest = tables
            .iter()
            .find_map(|table| keys.iter().find_map(|key| table.get(*key)));
        if let Some(item) = nearest {
            let message = format!(
                "{} is {least}, and {} is {most}: the one must not be above the other",
                cx.spell("pool_min"),
                cx.spell("pool_max")
            );
            cx.report.add(&item.at, &item.path, message);
        }
    }
}
