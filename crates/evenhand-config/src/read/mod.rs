//! Checks a file. Reading does not stop at a problem, so that one run reports all of them. A database with a
//! problem can still be listed as a peer, so that one mistake is not reported twice.

mod balanced;
mod context;
mod peer;
mod redact;
mod role;
mod unknown;
mod value;

use std::collections::BTreeMap;

use self::context::Context;
use self::peer::{Inherited, PartialPeer};
use self::unknown::Section;
use crate::plan::{BalancedDatabase, Config, Peer, Settings};
use crate::problem::{Place, Problems, Report, name};
use crate::sources::Sources;
use crate::tree::{Document, Format, Role, Table, django, json, toml, variables};

/// The peers and the balanced databases of a file.
type Databases = (BTreeMap<String, Peer>, BTreeMap<String, BalancedDatabase>);

/// Reads and checks a text, which problems call `origin`.
pub(crate) fn read(
    text: &str,
    origin: &str,
    format: Format,
    sources: &Sources,
) -> Result<Config, Problems> {
    let mut report = Report::new(text, origin);
    let root = match format {
        Format::Toml => toml::parse(text, &mut report),
        Format::Django => json::parse(text, &mut report),
    };
    let mask = root.as_ref().map_or_else(redact::words, redact::mask);
    let document = root.and_then(|root| match format {
        Format::Toml => Some(Document {
            root,
            notes: BTreeMap::new(),
        }),
        Format::Django => django::translate(root, &mut report),
    });
    let mut cx = Context {
        report,
        format,
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

/// The databases of a document. `None` if it has no table of databases.
fn databases(document: &Document, cx: &mut Context<'_>) -> Option<Databases> {
    let root = cx.table(&document.root)?;
    let guesses = unknown::report(root, &[Section::File], cx);
    let defaults = root.get("defaults").and_then(|item| cx.table(item));
    if let Some(defaults) = defaults {
        unknown::report(defaults, &[Section::Defaults], cx);
    }
    let Some(item) = root.get("databases") else {
        // A misspelt one has been reported, with a suggestion.
        if guesses.is_empty() {
            let message = "missing: name at least one database, such as `[databases.default]`";
            cx.report.error(&Place::start(), "databases", message);
        }
        return None;
    };
    let databases = cx.table(item)?;
    if databases.is_empty() {
        let message = match cx.format {
            Format::Toml => "no database: name at least one, such as `[databases.default]`",
            Format::Django => "no database: name at least one, such as `default`",
        };
        cx.report.key_error(&item.location, message);
    }

    let mut roles = BTreeMap::new();
    for (alias, item) in databases {
        if let Some(message) = name::alias_problem(alias) {
            cx.report.key_error(&item.location, message);
        }
        let note = document.notes.get(alias);
        roles.insert(alias.as_str(), role::determine(item, note, cx));
    }
    Some(plan(databases, defaults, &roles, cx))
}

/// Reads the databases, given the role of each.
fn plan(
    databases: &Table,
    defaults: Option<&Table>,
    roles: &BTreeMap<&str, Role>,
    cx: &mut Context<'_>,
) -> Databases {
    let nothing = Table::new();
    let defaults = defaults.unwrap_or(&nothing);
    let default_settings = balanced::settings(defaults, cx);
    let default_keys = Inherited::read(defaults, cx);
    let role = |alias: &str| roles.get(alias).copied().unwrap_or(Role::Unclear);
    let tables = || {
        databases
            .iter()
            .filter(|(alias, _)| role(alias) != Role::Foreign)
            .filter_map(|(alias, item)| Some((alias, item.table()?)))
    };

    let mut partial: BTreeMap<&str, PartialPeer<'_>> = BTreeMap::new();
    let mut peers = BTreeMap::new();
    for (alias, table) in tables().filter(|(alias, _)| role(alias) != Role::Balanced) {
        let peer = PartialPeer::read(alias, table, cx);
        if let Some(complete) = peer.complete(&[(defaults, &default_keys)], cx) {
            peers.insert(alias.clone(), complete);
        }
        partial.insert(alias, peer);
    }

    let mut balanced_databases = BTreeMap::new();
    for (alias, table) in tables() {
        let own_settings = match role(alias) {
            Role::Peer => Settings::default(),
            _ => balanced::settings(table, cx),
        };
        let Some(list) = table.get("peers") else {
            continue;
        };
        // The keys of an unclear database have been read as those of a peer.
        let keys = match role(alias) {
            Role::Balanced => Inherited::read(table, cx),
            _ => Inherited::default(),
        };
        let settings = own_settings.or(&default_settings);
        let sources = [(table, &keys), (defaults, &default_keys)];
        let aliases = balanced::aliases(list, alias, roles, databases, cx);
        let members: Vec<Peer> = aliases
            .into_iter()
            // A peer that is missing has been reported, so there is no result.
            .filter_map(|peer| partial.get(peer)?.complete(&sources, cx))
            .collect();
        balanced::check(list, &members, &settings, &[table, defaults], cx);
        let database = BalancedDatabase {
            alias: alias.clone(),
            peers: members,
            settings,
        };
        balanced_databases.insert(alias.clone(), database);
    }
    (peers, balanced_databases)
}
