//! Django's `DATABASES` as a tree of ours.
//!
//! What a key means here it means under its own name; what has no meaning here is left out with a
//! warning that says why. Every key of ours may stand in the dictionary too, in capitals.

use std::collections::BTreeMap;

use super::{Data, Document, Item, Note, Table, options};
use crate::keys;
use crate::problem::Finding;
use crate::read::name;
use crate::read::report::Report;
use crate::suggest::nearest;

/// What Django's `ENGINE` says a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    MySql,
    Balanced,
    /// Neither: another product, which is left out.
    Foreign,
    /// It does not say, which has been reported.
    Unclear,
}

/// Django's keys that are none of ours, and what becomes of them.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    (
        "ATOMIC_REQUESTS",
        "there are no requests here: begin a transaction where one is wanted",
    ),
    (
        "AUTOCOMMIT",
        "connections are in autocommit, outside of transactions",
    ),
    (
        "CONN_HEALTH_CHECKS",
        "idle peers are checked anyway: see CHECK_UP_EVERY",
    ),
    (
        "CONN_MAX_AGE",
        "connections are kept: give MAX_LIFETIME where the balanced database stands",
    ),
    ("DISABLE_SERVER_SIDE_CURSORS", "it is about another product"),
    (
        "TIME_ZONE",
        "times are what the server says: convert them in the application",
    ),
    ("TEST", "it is about Django's test databases"),
    ("DEPENDENCIES", "it is about Django's test databases"),
];

/// The dictionary as a document of ours; none if there is none.
pub(crate) fn translate(root: Item, report: &mut Report<'_>) -> Option<Document> {
    let Data::Table(mut table) = root.data else {
        let found = root.kind(report.dialect);
        let finding = Finding::new("").expected("an object, Django's DATABASES");
        report.add(&root.at, "", finding.found(found));
        return None;
    };
    let mut document = Table::new();
    let mut notes = BTreeMap::new();
    let databases = if let Some(databases) = table.remove("DATABASES") {
        if let Some(mut defaults) = table.remove("DEFAULTS") {
            if let Data::Table(keys) = defaults.data {
                let mut guesses = Vec::new();
                defaults.data = Data::Table(database(keys, true, &mut guesses, report));
            }
            document.insert("defaults".to_owned(), defaults);
        }
        for (key, item) in table {
            let known = ["DATABASES", "DEFAULTS"];
            let guess = nearest(&key, ["DEFAULTS"]);
            let name = name::shown(&key);
            let finding = Finding::new(format!(
                "unknown key `{name}`; the file has: DATABASES, DEFAULTS"
            ));
            let finding = finding.was(name).allowed(known.join(", ")).near(guess);
            report.add(&item.key_at, &item.path, finding);
        }
        databases
    } else {
        Item {
            data: Data::Table(table),
            ..root
        }
    };
    let databases = match databases.data {
        Data::Table(entries) => {
            let mut ours = Table::new();
            for (alias, item) in entries {
                let (item, note) = entry(item, report);
                notes.insert(alias.clone(), note);
                ours.insert(alias, item);
            }
            Item {
                data: Data::Table(ours),
                ..databases
            }
        }
        // It is reported where a table is asked for.
        _ => databases,
    };
    document.insert("databases".to_owned(), databases);
    let root = Item {
        path: String::new(),
        key_at: super::Place::start(),
        at: super::Place::start(),
        data: Data::Table(document),
    };
    Some(Document { root, notes })
}

/// One database, and what it is.
fn entry(item: Item, report: &mut Report<'_>) -> (Item, Note) {
    let mut guesses = Vec::new();
    let Item {
        path,
        key_at,
        at,
        data,
    } = item;
    let Data::Table(mut table) = data else {
        let item = Item {
            path,
            key_at,
            at,
            data,
        };
        let engine = Engine::Unclear;
        return (item, Note { engine, guesses });
    };
    let engine = match table.remove("ENGINE") {
        Some(engine) => engine_of(&engine, report),
        None => {
            let finding = Finding::new(
                "no ENGINE: it tells a peer (\"django.db.backends.mysql\") from a balanced database \
                 (\"django_proxysql.backends.proxysql\")",
            );
            // A misspelt one will be told as an unknown key, with the right word.
            if !table.keys().any(|key| nearest(key, ["ENGINE"]).is_some()) {
                report.add(&key_at, &path, finding);
            }
            Engine::Unclear
        }
    };
    let data = if engine == Engine::Foreign {
        Data::Table(Table::new())
    } else {
        let balanced = engine == Engine::Balanced;
        Data::Table(database(table, balanced, &mut guesses, report))
    };
    let item = Item {
        path,
        key_at,
        at,
        data,
    };
    (item, Note { engine, guesses })
}

fn engine_of(item: &Item, report: &mut Report<'_>) -> Engine {
    let Data::Text(engine) = &item.data else {
        let found = item.kind(report.dialect);
        let finding = Finding::new("").expected("a string, the path of an engine");
        report.wrong(item, finding.found(found));
        return Engine::Unclear;
    };
    let engine = engine.to_lowercase();
    if engine.ends_with("proxysql") {
        Engine::Balanced
    } else if engine.contains("mysql") {
        Engine::MySql
    } else {
        let message = "not an engine for MySQL, so the database is left out";
        report.warn(&item.at, &item.path, message);
        Engine::Foreign
    }
}

/// The keys of a database, or of the defaults, under our names.
///
/// `guesses` gets those of ours that were probably meant by an unknown one.
fn database(
    mut table: Table,
    balanced: bool,
    guesses: &mut Vec<&'static str>,
    report: &mut Report<'_>,
) -> Table {
    let mut ours = Table::new();
    if let Some(options) = table.remove("OPTIONS") {
        options::translate(options, balanced, &mut ours, report);
    }
    if let Some(age) = table.remove("CONN_MAX_AGE") {
        max_age(age, balanced, &mut ours, report);
    }
    let empty = |item: &Item| matches!(&item.data, Data::Text(text) if text.is_empty());
    for (key, mut item) in table {
        // Django writes out what is not set; a server it then reaches by a local socket.
        if key == "PORT" && empty(&item) || balanced && key == "HOST" && empty(&item) {
            continue;
        }
        if key == "PORT"
            && let Data::Text(text) = &item.data
        {
            item.data = Data::Loose(text.clone());
        }
        let name = key.to_lowercase();
        if let Some((_, why)) = KNOWN.iter().find(|(known, _)| *known == key) {
            ignore(&item, why, report);
        } else if keys::find(&name).is_some() && key == name.to_uppercase() {
            // What OPTIONS say overrides it, as in Django.
            ours.entry(name).or_insert(item);
        } else {
            let guess = unknown(&key, &item, report);
            guesses.extend(
                guess
                    .and_then(|guess| keys::find(&guess))
                    .map(|key| key.name),
            );
        }
    }
    ours
}

/// Django's seconds, after which a connection is not used again; nought, which is its default, is the
/// end of each request.
fn max_age(age: Item, balanced: bool, ours: &mut Table, report: &mut Report<'_>) {
    let kept = matches!(age.data, Data::Null) || matches!(age.data, Data::Integer(1..));
    if balanced && kept {
        ours.insert("max_lifetime".to_owned(), age);
    } else if let Some((_, why)) = KNOWN.iter().find(|(key, _)| *key == "CONN_MAX_AGE") {
        ignore(&age, why, report);
    }
}

/// Warns of something that has no meaning here.
pub(super) fn ignore(item: &Item, why: &str, report: &mut Report<'_>) {
    let finding = Finding::new(format!("it has no meaning here: {why}"));
    report.warn(&item.key_at, &item.path, finding);
}

/// Reports a key, and says which of ours was probably meant.
fn unknown(key: &str, item: &Item, report: &mut Report<'_>) -> Option<String> {
    let ours: Vec<String> = keys::keys()
        .iter()
        .map(|key| key.name.to_uppercase())
        .collect();
    let djangos = ["ENGINE", "OPTIONS"].into_iter();
    let djangos = djangos.chain(KNOWN.iter().map(|(known, _)| *known));
    let all: Vec<&str> = ours.iter().map(String::as_str).chain(djangos).collect();
    let guess = nearest(key, all.iter().copied());
    let name = name::shown(key);
    let finding = Finding::new(format!(
        "unknown key `{name}`: neither Django's nor one of ours"
    ));
    let finding = finding.was(name).allowed(all.join(", ")).near(guess);
    report.add(&item.key_at, &item.path, finding);
    guess.map(str::to_lowercase)
}
