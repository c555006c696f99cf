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
//! | `node` | tables and values that know their place and their type |
//! | `kind` | what a database is, judged by its keys, and which keys go together |
//! | `peer`, `mysql_url` | the values of a peer |
//! | `balanced`, `interval` | the values of a balanced database |

mod balanced;
mod interval;
mod kind;
mod mysql_url;
mod name;
mod node;
mod peer;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use toml::de::DeTable;

use self::kind::Kind;
use self::node::Table;
use self::report::Report;
use crate::error::Problems;
use crate::plan::{BalancedDatabase, Config, DEFAULT_CHECK_INTERVAL, Peer};

/// Reads and checks `text`; problems say that it came from `origin`.
pub(crate) fn read(text: &str, origin: &str) -> Result<Config, Problems> {
    let mut report = Report::new(text, origin);
    let (document, errors) = DeTable::parse_recoverable(text);
    // What the parser lost would be reported as missing, so a broken document is looked at no
    // further.
    if !errors.is_empty() {
        report.syntax(errors);
        return report.finish(None);
    }
    let config = config(&Table::document(document.get_ref()), &mut report);
    report.finish(config)
}

/// The whole document. None if there is not even a table of databases.
fn config(document: &Table<'_>, report: &mut Report<'_>) -> Option<Config> {
    let guesses = kind::unknown_keys(document, &[("the file", &["databases"])], report);
    let Some(databases) = document.get("databases") else {
        // `[database.db0]` has been reported already, with the right word for it.
        if guesses.is_empty() {
            let message = "missing: name at least one database, such as `[databases.default]`";
            report.add(0, "databases", message);
        }
        return None;
    };
    let databases = databases.table(report)?;
    if databases.is_empty() {
        let message = "no database: name at least one, such as `[databases.default]`";
        report.add(databases.at, &databases.path, message);
    }

    let mut kinds = BTreeMap::new();
    let mut tables = Vec::new();
    for (alias, value) in databases.entries() {
        if let Some(message) = name::alias_problem(alias) {
            report.add(value.key_at, &value.path, message);
        }
        let Some(table) = value.table(report) else {
            kinds.insert(alias, Kind::Unclear);
            continue;
        };
        kinds.insert(alias, kind::judge(&table, report));
        tables.push((alias, table));
    }
    Some(plan(&tables, &kinds, report))
}

/// The values of the databases. `kinds` holds every database of the file, by alias.
fn plan(
    tables: &[(&str, Table<'_>)],
    kinds: &BTreeMap<&str, Kind>,
    report: &mut Report<'_>,
) -> Config {
    let mut peers = BTreeMap::new();
    for (alias, table) in tables {
        if let Some(address) = peer::address(table, report) {
            let alias = (*alias).to_owned();
            peers.insert(alias.clone(), Peer { alias, address });
        }
    }
    let mut balanced = BTreeMap::new();
    for (alias, table) in tables {
        let interval = table
            .get("check_interval")
            .and_then(|value| interval::check_interval(&value, report));
        let Some(list) = table.get("peers") else {
            continue;
        };
        let listed = balanced::peers(&list, alias, kinds, report);
        let alias = (*alias).to_owned();
        let database = BalancedDatabase {
            alias: alias.clone(),
            // A peer that is missing here has been reported, so there will be no plan.
            peers: listed
                .into_iter()
                .filter_map(|peer| peers.get(peer).cloned())
                .collect(),
            check_interval: interval.unwrap_or(DEFAULT_CHECK_INTERVAL),
        };
        balanced.insert(alias, database);
    }
    Config { peers, balanced }
}
