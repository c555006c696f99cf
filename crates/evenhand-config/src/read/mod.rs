//! From a text to a plan, or to the list of everything that is wrong.
//!
//! Reading never stops at a problem. Each step reports what it finds and goes on with what is left, so
//! that one run shows all there is to put right; only at the end does the report decide whether there
//! is a plan. For the same reason a database that is wrong in itself is still a name that others may
//! list: one mistake shall not look like two.
//!
//! | room | holds |
//! | --- | --- |
//! | `report` | the problems found so far, and where in the text they are |
//! | `name` | how a name from the file is shown in a message |
//! | `visible` | what of the text may be seen in a message |
//! | `context` | what checks have at hand; a key's value by its kind |
//! | `duration` | durations, with their units |
//! | `kind`, `unknown` | what a database is, and which keys it may have |
//! | `address`, `host`, `mysql_url` | where a peer is |
//! | `lent`, `password`, `tls` | what a peer inherits, and what it comes to |
//! | `settings`, `probe`, `keep`, `order` | the settings of a balanced database |
//! | `balanced` | the peers of a balanced database |

mod address;
mod balanced;
mod context;
mod duration;
mod host;
mod keep;
mod kind;
mod lent;
mod mysql_url;
pub(crate) mod name;
mod order;
mod password;
mod probe;
pub(crate) mod report;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod unknown;
mod visible;

use std::collections::BTreeMap;

use self::context::Context;
use self::kind::Kind;
use self::lent::{Lent, OwnPeer};
use self::report::Report;
use self::unknown::Where;
use crate::plan::{BalancedDatabase, Config, DEFAULT_CHECK_INTERVAL, Peer, Settings};
use crate::problem::Problems;
use crate::sources::Sources;
use crate::tree::{Dialect, Document, Item, Place, Table, django, json, toml, variables};

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    /// JSON with Django's keys.
    Django,
}

/// The peers and the balanced databases of a file.
type Databases = (BTreeMap<String, Peer>, BTreeMap<String, BalancedDatabase>);

/// Reads and checks `text`; problems say that it came from `origin`.
pub(crate) fn read(
    text: &str,
    origin: &str,
    format: Format,
    sources: &Sources,
) -> Result<Config, Problems> {
    let (dialect, parse): (_, fn(&str, &mut Report<'_>) -> Option<Item>) = match format {
        Format::Toml => (Dialect::Toml, toml::parse),
        Format::Django => (Dialect::Django, json::parse),
    };
    let mut report = Report::new(text, origin, dialect);
    let root = parse(text, &mut report);
    let mask = root.as_ref().map_or_else(visible::words, visible::mask);
    let document = root.and_then(|root| match format {
        Format::Toml => Some(Document {
            root,
            notes: BTreeMap::new(),
        }),
        Format::Django => django::translate(root, &mut report),
    });
    let mut cx = Context {
        report,
        sources,
        inputs: Vec::new(),
    };
    let databases = document.and_then(|mut document| {
        variables::overlay(&mut document.root, sources, &mut cx.report);
        databases(&document, &mut cx)
    });
    let Context { report, inputs, .. } = cx;
    let ((peers, balanced), warnings) = report.finish(databases, || mask)?;
    Ok(Config {
        peers,
        balanced,
        warnings,
        inputs,
    })
}

/// The whole document. None if there is not even a table of databases.
fn databases(document: &Document, cx: &mut Context<'_>) -> Option<Databases> {
    let root = cx.table(&document.root)?;
    let guesses = unknown::report(root, &[Where::File], &mut cx.report);
    let defaults = root.get("defaults").and_then(|item| cx.table(item));
    if let Some(defaults) = defaults {
        unknown::report(defaults, &[Where::Defaults], &mut cx.report);
    }
    let Some(item) = root.get("databases") else {
        // `[database.db0]` has been reported already, with the right word for it.
        if guesses.is_empty() {
            let message = "missing: name at least one database, such as `[databases.default]`";
            cx.report.add(&Place::start(), "databases", message);
        }
        return None;
    };
    let databases = cx.table(item)?;
    if databases.is_empty() {
        let message = match cx.report.dialect {
            Dialect::Toml => "no database: name at least one, such as `[databases.default]`",
            Dialect::Django => "no database: name at least one, such as `default`",
        };
        cx.report.add(&item.key_at, &item.path, message);
    }

    let mut kinds = BTreeMap::new();
    for (alias, item) in databases {
        if let Some(message) = name::alias_problem(alias) {
            cx.report.add(&item.key_at, &item.path, message);
        }
        let note = document.notes.get(alias);
        kinds.insert(alias.as_str(), kind::judge(item, note, cx));
    }
    Some(plan(databases, defaults, &kinds, cx))
}

/// The values of the databases. `kinds` holds every database of the file, by alias.
fn plan(
    databases: &Table,
    defaults: Option<&Table>,
    kinds: &BTreeMap<&str, Kind>,
    cx: &mut Context<'_>,
) -> Databases {
    let nothing = Table::new();
    let defaults = defaults.unwrap_or(&nothing);
    let default_settings = settings::read(defaults, cx);
    let lent_by_defaults = lent::read(defaults, cx);
    let tables = || {
        databases
            .iter()
            .filter(|(alias, _)| kinds.get(alias.as_str()) != Some(&Kind::Foreign))
            .filter_map(|(alias, item)| Some((alias, item.table()?)))
    };

    let mut own: BTreeMap<&str, OwnPeer<'_>> = BTreeMap::new();
    let mut peers = BTreeMap::new();
    for (alias, table) in tables() {
        if kinds.get(alias.as_str()) == Some(&Kind::Balanced) {
            continue;
        }
        let peer = lent::own(alias, table, cx);
        if let Some(complete) = peer.complete(&[(defaults, &lent_by_defaults)], cx) {
            peers.insert(alias.clone(), complete);
        }
        own.insert(alias, peer);
    }

    let mut balanced = BTreeMap::new();
    for (alias, table) in tables() {
        let own_settings = match kinds.get(alias.as_str()) {
            Some(Kind::Peer) => Settings::default(),
            _ => settings::read(table, cx),
        };
        let Some(list) = table.get("peers") else {
            continue;
        };
        let lent: Lent = match kinds.get(alias.as_str()) {
            Some(Kind::Balanced) => lent::read(table, cx),
            _ => Lent::default(),
        };
        let settings = own_settings.or(&default_settings);
        let listed = balanced::peers(list, alias, kinds, databases, cx);
        let lenders = [(table, &lent), (defaults, &lent_by_defaults)];
        let members: Vec<Peer> = listed
            .into_iter()
            // A peer that is missing here has been reported, so there will be no plan.
            .filter_map(|peer| own.get(peer)?.complete(&lenders, cx))
            .collect();
        order::check(&settings, &[table, defaults], &mut cx.report);
        balanced::check(list, &members, &settings, &[table, defaults], cx);
        let database = BalancedDatabase {
            alias: alias.clone(),
            peers: members,
            check_interval: settings.check_interval.unwrap_or(DEFAULT_CHECK_INTERVAL),
            settings,
        };
        balanced.insert(alias.clone(), database);
    }
    (peers, balanced)
}
