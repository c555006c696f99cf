//! A peer as its own table has it, and the peer that it becomes with what it inherits.

use super::address::{self, PartialAddress};
use super::inherited::Inherited;
use super::mysql_url;
use crate::keys;
use crate::plan::{Address, Connections, Peer};
use crate::read::context::Context;
use crate::read::value;
use crate::secret::Secret;
use crate::tree::Table;

/// A peer that has not inherited anything yet.
pub(in crate::read) struct PartialPeer<'t> {
    alias: &'t str,
    table: &'t Table,
    address: Option<PartialAddress>,
    weight: Option<u32>,
    own: Inherited,
}

/// Keys that may also be parameters of a URL, and the driver's names for them.
const URL_PARAMETERS: [(&str, &str); 4] = [
    ("pool_min", "pool_min"),
    ("pool_max", "pool_max"),
    ("reset_connection", "reset_connection"),
    ("tls", "require_ssl"),
];

impl<'t> PartialPeer<'t> {
    pub(in crate::read) fn read(alias: &'t str, table: &'t Table, cx: &mut Context<'_>) -> Self {
        let address = address::read(table, cx);
        if let Some(PartialAddress::Url(url)) = &address {
            for (key, parameter) in URL_PARAMETERS {
                if let (Some(item), true) = (table.get(key), mysql_url::has(url, parameter)) {
                    let message = "the query of the URL sets it too: remove one of the two";
                    cx.report.key_error(&item.location, message);
                }
            }
        }
        PartialPeer {
            alias,
            table,
            address,
            weight: value::read(table, "weight", cx),
            own: Inherited::read(table, cx),
        }
    }

    /// The peer with what it inherits from `sources`, the nearest first. `None` if its address is wrong.
    pub(in crate::read) fn complete(
        &self,
        sources: &[(&Table, &Inherited)],
        cx: &mut Context<'_>,
    ) -> Option<Peer> {
        let mut all = self.own.clone();
        let mut tables = vec![self.table];
        for (table, inherited) in sources {
            all = all.or(inherited);
            tables.push(table);
        }
        if let Some(PartialAddress::Url(url)) = &self.address {
            self.prefer_url(url, &mut all);
            self.warn_of_missing_login(url, &all, cx);
        }
        check_pool(&all, &tables, cx);
        let tls = all.tls.complete(&tables, cx);
        let hosts = match self.address.as_ref()? {
            PartialAddress::Url(_) => None,
            PartialAddress::Host { hosts, .. } => *hosts,
        };
        let (address, password_source) = match self.address.as_ref()? {
            PartialAddress::Url(url) => (Address::Url(Secret::from(url.as_str())), None),
            PartialAddress::Host { host, port, .. } => {
                let not_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
                let password = all.password.filter(|password| password.secret.is_some());
                let source = password.as_ref().map(|password| password.source.clone());
                let address = Address::Parts {
                    host: host.clone(),
                    port: *port,
                    user: not_empty(all.keys.user),
                    password: password.and_then(|password| password.secret),
                    name: not_empty(all.keys.name),
                };
                (address, source)
            }
        };
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Some(Peer {
            alias: self.alias.to_owned(),
            address,
            hosts,
            password_source,
            weight: self.weight,
            connections: Connections {
                pool_min: all.keys.pool_min.map(count),
                pool_max: all.keys.pool_max.map(count),
                reset_connection: all.keys.reset_connection,
                init: all.keys.init,
                setup: all.keys.setup,
            },
            tls,
        })
    }

    /// Parameters of the URL take precedence over inherited keys.
    fn prefer_url(&self, url: &str, all: &mut Inherited) {
        let has = |parameter| mysql_url::has(url, parameter);
        if has("pool_min") || has("pool_max") {
            all.keys.pool_min = self.own.keys.pool_min;
            all.keys.pool_max = self.own.keys.pool_max;
        }
        if has("reset_connection") {
            all.keys.reset_connection = None;
        }
        if has("require_ssl") {
            all.tls = self.own.tls.clone();
        }
    }

    /// A URL inherits no login, which its author may not expect.
    fn warn_of_missing_login(&self, url: &str, all: &Inherited, cx: &mut Context<'_>) {
        let (own, has) = (&self.own, mysql_url::parts(url));
        let inherits = [
            ("user", all.keys.user.is_some() && own.keys.user.is_none()),
            ("password", all.password.is_some() && own.password.is_none()),
            ("name", all.keys.name.is_some() && own.keys.name.is_none()),
        ];
        let missing: Vec<String> = inherits
            .into_iter()
            .filter(|(part, inherits)| *inherits && !has.contains(part))
            .map(|(part, _)| cx.spell(part))
            .collect();
        if let (Some(url), false) = (self.table.get("url"), missing.is_empty()) {
            let message = format!(
                "it has no {}, and inherits none: a URL is the whole address",
                missing.join(", ")
            );
            cx.report.key_warning(&url.location, message);
        }
    }
}

/// Checks that `pool_min` is at most `pool_max`.
fn check_pool(all: &Inherited, tables: &[&Table], cx: &mut Context<'_>) {
    let default = || keys::find("pool_max")?.default.parse().ok();
    let max = all.keys.pool_max.or_else(default).unwrap_or(u32::MAX);
    let Some(min) = all.keys.pool_min.filter(|&min| min > max) else {
        return;
    };
    let given = |table: &&Table| {
        let min = table.get("pool_min");
        min.or_else(|| table.get("pool_max"))
            .map(|item| item.location.clone())
    };
    if let Some(location) = tables.iter().find_map(given) {
        let message = format!(
            "{} is {min}, and {} is {max}: the minimum must not exceed the maximum",
            cx.spell("pool_min"),
            cx.spell("pool_max")
        );
        cx.report.value_error(&location, message);
    }
}
