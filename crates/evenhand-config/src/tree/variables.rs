//! Environment variables that override keys.
//!
//! `EVENHAND__DATABASES__<ALIAS>__<KEY>` overrides a key of a database in the file, and
//! `EVENHAND__DEFAULTS__<KEY>` one of the defaults. In an alias, every character that is not alphanumeric
//! is written as an underscore. Case does not matter.

use super::{Data, Item, Table};
use crate::keys;
use crate::problem::{Finding, Location, Place, Report, name};
use crate::sources::Sources;
use crate::suggest::nearest;

const PREFIX: &str = "EVENHAND__";
const SEPARATOR: &str = "__";

/// Overrides keys of a document with environment variables.
pub(crate) fn overlay(root: &mut Item, sources: &Sources, report: &mut Report<'_>) {
    for (variable, value) in sources.all() {
        let folded = fold(variable);
        let Some(rest) = folded.strip_prefix(PREFIX) else {
            continue;
        };
        // A value was probably pasted into the name, so the name is not shown.
        if name::is_an_address(variable) {
            let message = "an address is not a name of a variable";
            report.error(&Place::variable("EVENHAND__***"), "", message);
        } else if let Err(finding) = apply(root, variable, rest, value) {
            report.error(&Place::variable(variable), "", finding);
        }
    }
}

/// Applies one variable. `rest` is its name without the prefix, in capitals.
fn apply(root: &mut Item, variable: &str, rest: &str, value: Option<&str>) -> Result<(), Finding> {
    let value = value.ok_or_else(|| Finding::new("its value is not UTF-8"))?;
    let Data::Table(document) = &mut root.data else {
        return Ok(());
    };
    let (table, key) = if let Some(key) = rest.strip_prefix("DEFAULTS__") {
        let path = defaults_path(document);
        let defaults = document
            .entry("defaults".to_owned())
            .or_insert_with(|| Item {
                location: Location::variable(path, variable),
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
    // In Django's dictionary, paths are in capitals too.
    let django = document
        .get("databases")
        .is_some_and(|databases| databases.location.path != "databases");
    if django { "DEFAULTS" } else { "defaults" }.to_owned()
}

/// The database that a variable means, and the key. An alias may contain the separator, so every way to
/// split the two is tried.
fn database<'t, 'r>(
    databases: &'t mut Table,
    rest: &'r str,
) -> Result<(&'t mut Item, &'r str), Finding> {
    let split = |(at, _): (usize, &str)| (&rest[..at], &rest[at + SEPARATOR.len()..]);
    let splits: Vec<(&str, &str)> = rest.match_indices(SEPARATOR).map(split).collect();
    let mut found: Vec<(&String, &str)> = Vec::new();
    for (alias, key) in &splits {
        let matching = databases.keys().filter(|known| fold(known) == *alias);
        found.extend(matching.map(|known| (known, *key)));
    }
    // Splits that leave a known key take precedence.
    if found.iter().any(|(_, key)| is_key(key)) {
        found.retain(|(_, key)| is_key(key));
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
            let alias = splits.last().map_or(rest, |(alias, _)| alias);
            let message = format!(
                "no database `{}`; known: {}",
                name::shown(alias),
                name::list(aliases())
            );
            let finding = Finding::new(message).found_only(name::shown(alias));
            Err(finding
                .expected_only(name::list(aliases()))
                .suggest(nearest(alias, aliases())))
        }
        several => {
            let aliases = name::list(several.iter().map(|(alias, _)| alias.as_str()));
            Err(Finding::new(format!("ambiguous: it could mean {aliases}")))
        }
    }
}

/// A key, and the key within it if it is a table.
fn parts(key: &str) -> (&str, Option<&str>) {
    match key.split_once(SEPARATOR) {
        Some(("probe", part @ ("query" | "expect"))) => ("probe", Some(part)),
        _ => (key, None),
    }
}

/// Whether the end of a variable's name is a key.
fn is_key(key: &str) -> bool {
    keys::find(parts(&key.to_lowercase()).0).is_some()
}

/// Sets a key of a table, or of the probe in it.
fn set(item: &mut Item, key: &str, variable: &str, value: &str) -> Result<(), Finding> {
    let folded = key.to_lowercase();
    let (key, part) = parts(&folded);
    if keys::find(key).is_none() {
        let known = keys::keys().iter().map(|key| key.name);
        let message = format!("unknown key `{}`", name::shown(key));
        let guess = nearest(key, known.clone()).map(str::to_uppercase);
        let allowed = known.collect::<Vec<&str>>().join(", ");
        let finding = Finding::new(message).found_only(name::shown(key));
        return Err(finding.expected_only(allowed).suggest(guess.as_deref()));
    }
    let path = name::child(&item.location.path, key);
    let Data::Table(table) = &mut item.data else {
        return Ok(());
    };
    let leaf = |path: String| Item {
        location: Location::variable(path, variable),
        data: Data::Loose(value.to_owned()),
    };
    // A password from a variable replaces every password key of the file.
    if key.starts_with("password") {
        let of_variable = |item: &Item| matches!(item.location.key, Place::Variable(_));
        table.retain(|name, item| !name.starts_with("password") || of_variable(item));
    }
    let Some(part) = part else {
        table.insert(key.to_owned(), leaf(path));
        return Ok(());
    };
    let probe = table
        .entry(key.to_owned())
        .or_insert_with(|| leaf(path.clone()));
    let item = leaf(format!("{path}.{part}"));
    match &mut probe.data {
        Data::Table(probe) => drop(probe.insert(part.to_owned(), item)),
        _ => probe.data = Data::Table([(part.to_owned(), item)].into()),
    }
    Ok(())
}

/// A name as it is written in a variable.
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
