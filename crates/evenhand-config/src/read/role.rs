//! The role of a database, peer or balanced, and the keys that it needs.
//!
//! In TOML the keys determine the role, in Django's dictionary the engine does. These rules look only at keys, not
//! at values.

use super::context::Context;
use super::unknown::{self, Section};
use crate::keys::{self, Key, Scope};
use crate::tree::{Item, Note, Role, Table};

/// The keys of an address that is not a URL.
const PARTS: &[&str] = &[
    "host",
    "hosts",
    "port",
    "user",
    "password",
    "password_env",
    "password_file",
    "name",
];

/// Determines the role of a database, and reports keys that are unknown, missing, or not allowed in it.
pub(super) fn determine(item: &Item, note: Option<&Note>, cx: &mut Context<'_>) -> Role {
    if note.is_some_and(|note| note.role == Role::Foreign) {
        return Role::Foreign;
    }
    let Some(table) = cx.table(item) else {
        return Role::Unclear;
    };
    let role = note.map_or_else(|| by_keys(table), |note| note.role);
    let sections: &[Section] = match role {
        Role::Peer => &[Section::Peer],
        Role::Balanced => &[Section::Balanced],
        Role::Unclear | Role::Foreign => &[Section::Peer, Section::Balanced],
    };
    let mut guesses = unknown::report(table, sections, cx);
    guesses.extend(note.iter().flat_map(|note| note.guesses.iter().copied()));
    match role {
        Role::Peer => check_peer(item, table, &guesses, cx),
        Role::Balanced if !table.contains_key("peers") && !guesses.contains(&"peers") => {
            let message = format!("a balanced database without {}", cx.spell("peers"));
            cx.report.key_error(&item.location, message);
        }
        Role::Unclear if note.is_none() => explain_unclear(item, table, &guesses, cx),
        _ => {}
    }
    role
}

fn by_keys(table: &Table) -> Role {
    let has = |test: fn(&Key) -> bool| {
        let mut keys = keys::keys().iter().filter(|key| test(key));
        keys.any(|key| table.contains_key(key.name))
    };
    let is_peer = has(|key| key.scope == Scope::Peer);
    let inherited = has(|key| key.scope == Scope::Inherited);
    let settings = has(|key| key.scope == Scope::Setting);
    match (table.contains_key("peers"), is_peer) {
        (true, false) => Role::Balanced,
        (false, true) => Role::Peer,
        (false, false) if inherited && !settings => Role::Peer,
        _ => Role::Unclear,
    }
}

/// Checks that a peer has one address.
fn check_peer(item: &Item, peer: &Table, guesses: &[&str], cx: &mut Context<'_>) {
    let parts: Vec<&str> = given(peer, PARTS);
    if let Some(url) = peer.get("url") {
        if !parts.is_empty() {
            let message = format!(
                "a URL is the whole address: remove {}, or remove {}",
                cx.spell("url"),
                in_backticks(&parts, cx)
            );
            cx.report.key_error(&url.location, message);
        }
    } else if let Some(hosts) = peer.get("hosts") {
        let others = given(peer, &["host", "port"]);
        if !others.is_empty() {
            let message = format!(
                "it has the host and the port: remove {}",
                in_backticks(&others, cx)
            );
            cx.report.key_error(&hosts.location, message);
        }
    } else if !peer.contains_key("host")
        && !guesses
            .iter()
            .any(|guess| ["url", "host", "hosts"].contains(guess))
    {
        let besides = if parts.is_empty() {
            String::new()
        } else {
            format!(" besides {}", in_backticks(&parts, cx))
        };
        let message = format!(
            "a peer without an address: give it {}{besides}, or only {}",
            cx.spell("host"),
            cx.spell("url")
        );
        cx.report.key_error(&item.location, message);
    }
}

/// Reports why the role of a database is unclear.
fn explain_unclear(item: &Item, table: &Table, guesses: &[&str], cx: &mut Context<'_>) {
    if let Some(peers) = table.get("peers") {
        let own = keys::keys().iter().filter(|key| key.scope == Scope::Peer);
        let own: Vec<&str> = own.map(|key| key.name).collect();
        let message = format!(
            "a database is balanced or a peer, not both: remove `peers`, or remove {}",
            in_backticks(&given(table, &own), cx)
        );
        cx.report.key_error(&peers.location, message);
    } else if guesses.is_empty() {
        let message = "neither a peer nor balanced: give it `url` or `host` to be a peer, \
                       or `peers` to be balanced";
        cx.report.key_error(&item.location, message);
    }
}

/// The keys that the table has.
fn given<'k>(table: &Table, keys: &[&'k str]) -> Vec<&'k str> {
    let keys = keys.iter().copied();
    keys.filter(|key| table.contains_key(*key)).collect()
}

fn in_backticks(keys: &[&str], cx: &Context<'_>) -> String {
    let keys: Vec<String> = keys.iter().map(|key| cx.spell(key)).collect();
    keys.join(", ")
}
