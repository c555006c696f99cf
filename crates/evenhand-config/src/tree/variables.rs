//! Variables of the environment, laid over a tree.
//!
//! `EVENHAND__DATABASES__<ALIAS>__<KEY>` overrides a key of a database that the file names, and
//! `EVENHAND__DEFAULTS__<KEY>` one of the defaults. In an alias every letter that is not alphanumeric
//! counts as an underscore, and case does not count.

use std::sync::Arc;

use super::{Data, Item, Place, Table};
use crate::keys;
use crate::problem::Finding;
use crate::read::name;
use crate::read::report::Report;
use crate::sources::Sources;
use crate::suggest::nearest;

const PREFIX: &str = "EVENHAND__";
const BETWEEN: &str = "__";

/// Lays what the variables say over a document whose names are ours.
pub(crate) fn overlay(root: &mut Item, sources: &Sources, report: &mut Report<'_>) {
    for (variable, value) in sources.all() {
        let folded = fold(variable);
        let Some(rest) = folded.strip_prefix(PREFIX) else {
            continue;
        };
        // A value that slipped into the name, where it would be seen.
        if name::is_an_address(variable) {
            let finding = Finding::new("an address is no name of a variable");
            report.add(&Place::Variable(Arc::from("EVENHAND__***")), "", finding);
            continue;
        }
        if let Err(finding) = one(root, variable, rest, value) {
            report.add(&Place::Variable(Arc::from(variable)), "", finding);
        }
    }
}

fn one(root: &mut Item, variable: &str, rest: &str, value: Option<&str>) -> Result<(), Finding> {
    let value = value.ok_or_else(|| Finding::new("its value is not UTF-8"))?;
    let Data::Table(document) = &mut root.data else {
        return Ok(());
    };
    let (table, key) = if let Some(key) = rest.strip_prefix("DEFAULTS__") {
        let path = defaults_path(document);
        let defaults = document
            .entry("defaults".to_owned())
            .or_insert_with(|| Item {
                path,
                key_at: Place::Variable(Arc::from(variable)),
                at: Place::Variable(Arc::from(variable)),
                data: Data::Table(Table::new()),
            });
        (defaults, key)
    } else if let Some(rest) = rest.strip_prefix("DATABASES__") {
        let databases = document.get_mut("databases");
        let Some(Data::Table(databases)) = databases.map(|item| &mut item.data) else {
            return Ok(());
        };
        database(databases, rest)?
    } else {
        let expected = "EVENHAND__DATABASES__<ALIAS>__<KEY> or EVENHAND__DEFAULTS__<KEY>";
        return Err(Finding::new("unknown variable").expected(expected));
    };
    set(table, key, variable, value)
}

fn defaults_path(document: &Table) -> String {
    // Where the file has Django's names, so have the paths.
    let django = document
        .get("databases")
        .is_some_and(|databases| databases.path != "databases");
    if django { "DEFAULTS" } else { "defaults" }.to_owned()
}

/// The database that a variable means, and the key. An alias may have double underscores itself, so
/// every way to part the two is tried.
fn database<'t, 'r>(
    databases: &'t mut Table,
    rest: &'r str,
) -> Result<(&'t mut Item, &'r str), Finding> {
    let parts = |(at, _): (usize, &str)| (&rest[..at], &rest[at + BETWEEN.len()..]);
    let ways: Vec<(&str, &str)> = rest.match_indices(BETWEEN).map(parts).collect();
    let mut found: Vec<(&String, &str)> = Vec::new();
    for (alias, key) in &ways {
        let matching = databases.keys().filter(|known| fold(known) == *alias);
        found.extend(matching.map(|known| (known, *key)));
    }
    // Of several ways those that make a key of the rest.
    if found.iter().any(|(_, key)| known(key)) {
        found.retain(|(_, key)| known(key));
    }
    match &found[..] {
        [(alias, key)] => {
            let (alias, key) = ((*alias).clone(), *key);
            let item = databases.get_mut(&alias);
            item.map(|item| (item, key))
                .ok_or_else(|| Finding::new("no such database"))
        }
        [] => {
            let aliases = || databases.keys().map(String::as_str);
            let alias = ways.last().map_or(rest, |(alias, _)| alias);
            let message = format!(
                "no database `{}`; known: {}",
                name::shown(alias),
                name::list(aliases())
            );
            let finding = Finding::new(message).was(name::shown(alias));
            Err(finding
                .allowed(name::list(aliases()))
                .near(nearest(alias, aliases())))
        }
        several => {
            let aliases = name::list(several.iter().map(|(alias, _)| alias.as_str()));
            Err(Finding::new(format!("ambiguous: it could mean {aliases}")))
        }
    }
}

/// A key, and the part of it that is meant where it may be a table.
fn parts(key: &str) -> (&str, Option<&str>) {
    match key.split_once(BETWEEN) {
        Some(("probe", part @ ("query" | "expect"))) => ("probe", Some(part)),
        _ => (key, None),
    }
}

/// Whether the end of a variable's name is a key.
fn known(key: &str) -> bool {
    keys::find(parts(&key.to_lowercase()).0).is_some()
}

/// Sets one key of a table, or of the table that a probe may be.
fn set(item: &mut Item, key: &str, variable: &str, value: &str) -> Result<(), Finding> {
    let folded = key.to_lowercase();
    let (key, part) = parts(&folded);
    if keys::find(key).is_none() {
        let known = keys::keys().iter().map(|key| key.name);
        let message = format!("unknown key `{}`", name::shown(key));
        let guess = nearest(key, known.clone()).map(str::to_uppercase);
        let allowed = known.collect::<Vec<&str>>().join(", ");
        let finding = Finding::new(message).was(name::shown(key)).allowed(allowed);
        return Err(finding.near(guess.as_deref()));
    }
    let path = name::child(&item.path, key);
    let Data::Table(table) = &mut item.data else {
        return Ok(());
    };
    let place = Place::Variable(Arc::from(variable));
    let leaf = |path: String| Item {
        path,
        key_at: place.clone(),
        at: place.clone(),
        data: Data::Loose(value.to_owned()),
    };
    // A variable that gives the password takes the place of every other way to.
    if key.starts_with("password") {
        let of_the_file = |_: &String, item: &mut Item| matches!(item.key_at, Place::Variable(_));
        table.retain(|name, item| !name.starts_with("password") || of_the_file(name, item));
    }
    let Some(part) = part else {
        table.insert(key.to_owned(), leaf(path));
        return Ok(());
    };
    let probe = table
        .entry(key.to_owned())
        .or_insert_with(|| leaf(path.clone()));
    let own = leaf(format!("{path}.{part}"));
    match &mut probe.data {
        Data::Table(probe) => drop(probe.insert(part.to_owned(), own)),
        _ => probe.data = Data::Table([(part.to_owned(), own)].into()),
    }
    Ok(())
}

/// A name as a variable spells it.
fn fold(name: &str) -> String {
    let fold = |letter: char| {
        if letter.is_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    name.chars().map(fold).collect::<String>().to_uppercase()
}
