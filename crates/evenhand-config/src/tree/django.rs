//! Translates Django's `DATABASES`.
//!
//! Keys that have an effect here get the names of this crate. Others are left out with a warning that gives
//! the reason. Every key of this crate may be in the dictionary too, in capitals.

use std::collections::BTreeMap;

use super::django_options::{self, ignore, wrong_type};
use super::{Data, Document, Item, Note, Role, Table};
use crate::keys;
use crate::problem::{Finding, Location, Report, name};
use crate::suggest::nearest;

/// Django's keys without effect, and the reasons.
pub(crate) const IGNORED: &[(&str, &str)] = &[
    (
        "ATOMIC_REQUESTS",
        "requests have no transactions: begin one where it is needed",
    ),
    (
        "AUTOCOMMIT",
        "connections use autocommit outside of transactions",
    ),
    (
        "CONN_HEALTH_CHECKS",
        "idle peers are checked anyway: see HEALTH_CHECK_INTERVAL",
    ),
    (
        "CONN_MAX_AGE",
        "connections are kept: set MAX_LIFETIME in the balanced database",
    ),
    (
        "DISABLE_SERVER_SIDE_CURSORS",
        "it is a setting of another product",
    ),
    (
        "TIME_ZONE",
        "times are those of the server: convert them in the application",
    ),
    ("TEST", "it is a setting of Django's test databases"),
    ("DEPENDENCIES", "it is a setting of Django's test databases"),
];

/// The dictionary as a document. `None` if the root is not a dictionary, which is reported.
pub(crate) fn translate(root: Item, report: &mut Report<'_>) -> Option<Document> {
    let Data::Table(mut table) = root.data else {
        wrong_type(&root, "an object, Django's DATABASES", report);
        return None;
    };
    let mut document = Table::new();
    let mut databases = if let Some(databases) = table.remove("DATABASES") {
        if let Some(mut defaults) = table.remove("DEFAULTS") {
            if let Data::Table(keys) = defaults.data {
                defaults.data = Data::Table(keys_of(keys, true, &mut Vec::new(), report));
            }
            document.insert("defaults".to_owned(), defaults);
        }
        for (key, item) in table {
            let guess = nearest(&key, ["DEFAULTS"]);
            let name = name::shown(&key);
            let message = format!("unknown key `{name}`; the file has: DATABASES, DEFAULTS");
            let finding = Finding::new(message).found_only(name);
            let finding = finding.expected_only("DATABASES, DEFAULTS").suggest(guess);
            report.key_error(&item.location, finding);
        }
        databases
    } else {
        Item {
            data: Data::Table(table),
            ..root
        }
    };
    let mut notes = BTreeMap::new();
    // If it is no table, the reader reports it.
    if let Data::Table(entries) = &mut databases.data {
        for (alias, item) in entries {
            notes.insert(alias.clone(), translate_database(item, report));
        }
    }
    document.insert("databases".to_owned(), databases);
    let root = Item {
        location: Location::document(),
        data: Data::Table(document),
    };
    Some(Document { root, notes })
}

/// Translates the keys of one database, and returns what the dictionary says it is.
fn translate_database(item: &mut Item, report: &mut Report<'_>) -> Note {
    let mut guesses = Vec::new();
    let Data::Table(table) = &mut item.data else {
        let role = Role::Unclear;
        return Note { role, guesses };
    };
    let role = match table.remove("ENGINE") {
        Some(engine) => role_of(&engine, report),
        None => {
            // A misspelt one is reported as an unknown key, with a suggestion.
            if !table.keys().any(|key| nearest(key, ["ENGINE"]).is_some()) {
                let message = "no ENGINE: it distinguishes a peer (\"django.db.backends.mysql\") from a \
                               balanced database (\"django_proxysql.backends.proxysql\")";
                report.key_error(&item.location, message);
            }
            Role::Unclear
        }
    };
    let table = std::mem::take(table);
    if role != Role::Foreign {
        let balanced = role == Role::Balanced;
        item.data = Data::Table(keys_of(table, balanced, &mut guesses, report));
    }
    Note { role, guesses }
}

fn role_of(item: &Item, report: &mut Report<'_>) -> Role {
    let Data::Text(engine) = &item.data else {
        wrong_type(item, "a string, the path of an engine", report);
        return Role::Unclear;
    };
    let engine = engine.to_lowercase();
    if engine.ends_with("proxysql") {
        Role::Balanced
    } else if engine.contains("mysql") {
        Role::Peer
    } else {
        let message = "not an engine for MySQL, so the database is left out";
        report.value_warning(&item.location, message);
        Role::Foreign
    }
}

/// The keys of a database or of the defaults, with the names of this crate.
///
/// Adds the keys that were probably meant by unknown ones to `guesses`.
fn keys_of(
    mut table: Table,
    balanced: bool,
    guesses: &mut Vec<&'static str>,
    report: &mut Report<'_>,
) -> Table {
    let mut keys = Table::new();
    if let Some(options) = table.remove("OPTIONS") {
        django_options::translate(options, balanced, &mut keys, report);
    }
    let empty = |item: &Item| matches!(&item.data, Data::Text(text) if text.is_empty());
    for (key, mut item) in table {
        // Django writes keys that are not set as empty; an empty HOST is its local socket.
        if key == "PORT" && empty(&item) || balanced && key == "HOST" && empty(&item) {
            continue;
        }
        if key == "PORT"
            && let Data::Text(text) = &item.data
        {
            item.data = Data::Loose(text.clone());
        }
        // Seconds until a connection is closed; 0, Django's default, is the end of each request.
        let limits_age = matches!(item.data, Data::Null | Data::Integer(1..));
        let name = key.to_lowercase();
        if key == "CONN_MAX_AGE" && balanced && limits_age {
            keys.insert("max_lifetime".to_owned(), item);
        } else if let Some((_, why)) = IGNORED.iter().find(|(known, _)| *known == key) {
            ignore(&item, why, report);
        } else if keys::find(&name).is_some() && key == name.to_uppercase() {
            // OPTIONS take precedence, as in Django.
            keys.entry(name).or_insert(item);
        } else {
            let guess = unknown_key(&key, &item, report);
            let guess = guess.and_then(|guess| keys::find(&guess));
            guesses.extend(guess.map(|key| key.name));
        }
    }
    keys
}

/// Reports an unknown key, and returns the key of this crate that was probably meant.
fn unknown_key(key: &str, item: &Item, report: &mut Report<'_>) -> Option<String> {
    let keys = keys::keys().iter().map(|key| key.name.to_uppercase());
    let keys: Vec<String> = keys.collect();
    let django = IGNORED.iter().map(|(known, _)| *known);
    let django = ["ENGINE", "OPTIONS"].into_iter().chain(django);
    let all: Vec<&str> = keys.iter().map(String::as_str).chain(django).collect();
    let guess = nearest(key, all.iter().copied());
    let name = name::shown(key);
    let message = format!("unknown key `{name}`: neither Django nor Evenhand has it");
    let finding = Finding::new(message).found_only(name);
    let finding = finding.expected_only(all.join(", ")).suggest(guess);
    report.key_error(&item.location, finding);
    guess.map(str::to_lowercase)
}
