//! What a database is, and which keys go together.
//!
//! In TOML its keys tell, in Django's dictionary its engine does. So these rules look at keys only,
//! never at values, and they all stand here, since what is right for one key depends on the others.

use super::context::Context;
use super::unknown::{self, Where};
use crate::keys::{self, Key, Scope};
use crate::problem::Finding;
use crate::tree::django::Engine;
use crate::tree::{Item, Note, Table};

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One server.
    Peer,
    /// A list of peers.
    Balanced,
    /// Something that is not MySQL; Django's dictionary may have it.
    Foreign,
    /// Neither or both, which has been reported.
    Unclear,
}

/// What an address is made of where it is not a url.
const PARTS: &[&str] = &[
    "host",
    "port",
    "user",
    "password",
    "password_env",
    "password_file",
    "name",
];

/// Tells what a database is, and reports keys that are unknown, missing, or not for it.
pub(super) fn judge(item: &Item, note: Option<&Note>, cx: &mut Context<'_>) -> Kind {
    let engine = note.map(|note| note.engine);
    if engine == Some(Engine::Foreign) {
        return Kind::Foreign;
    }
    let Some(table) = cx.table(item) else {
        return Kind::Unclear;
    };
    let kind = match engine {
        Some(Engine::Balanced) => Kind::Balanced,
        Some(Engine::MySql) => Kind::Peer,
        Some(Engine::Unclear) => Kind::Unclear,
        Some(Engine::Foreign) => Kind::Foreign,
        None => by_keys(table),
    };
    let places: &[Where] = match kind {
        Kind::Peer => &[Where::Peer],
        Kind::Balanced => &[Where::Balanced],
        Kind::Unclear | Kind::Foreign => &[Where::Peer, Where::Balanced],
    };
    let mut guesses = unknown::report(table, places, &mut cx.report);
    guesses.extend(note.iter().flat_map(|note| note.guesses.iter().copied()));
    match kind {
        Kind::Peer => judge_peer(item, table, &guesses, cx),
        Kind::Balanced if !table.contains_key("peers") && !guesses.contains(&"peers") => {
            let message = format!("a balanced database without {}", cx.spell("peers"));
            cx.report.add(&item.key_at, &item.path, message);
        }
        Kind::Unclear if engine.is_none() => judge_unclear(item, table, &guesses, cx),
        _ => {}
    }
    kind
}

fn by_keys(table: &Table) -> Kind {
    let has = |test: fn(&Key) -> bool| {
        let known = keys::keys().iter().filter(|key| test(key));
        known.into_iter().any(|key| table.contains_key(key.name))
    };
    let own = has(|key| key.scope == Scope::Peer);
    let lent = has(|key| key.scope == Scope::Inherited);
    let settings = has(|key| key.scope == Scope::Setting);
    match (table.contains_key("peers"), own) {
        (true, false) => Kind::Balanced,
        (false, true) => Kind::Peer,
        (false, false) if lent && !settings => Kind::Peer,
        _ => Kind::Unclear,
    }
}

/// The rules among the keys of a peer.
fn judge_peer(item: &Item, peer: &Table, guesses: &[&str], cx: &mut Context<'_>) {
    let parts: Vec<&str> = given(peer, PARTS);
    if let Some(url) = peer.get("url") {
        if !parts.is_empty() {
            let message = format!(
                "a url is the whole address: remove {}, or remove {}",
                cx.spell("url"),
                in_backticks(&parts, cx)
            );
            cx.report.add(&url.key_at, &url.path, message);
        }
    } else if !peer.contains_key("host")
        && !guesses.iter().any(|guess| ["url", "host"].contains(guess))
    {
        let beside = if parts.is_empty() {
            String::new()
        } else {
            format!(" beside {}", in_backticks(&parts, cx))
        };
        let message = format!(
            "a peer without an address: give it {}{beside}, or only {}",
            cx.spell("host"),
            cx.spell("url")
        );
        cx.report.add(&item.key_at, &item.path, message);
    }
}

/// Says why it is unclear what a database is.
fn judge_unclear(item: &Item, table: &Table, guesses: &[&str], cx: &mut Context<'_>) {
    if let Some(peers) = table.get("peers") {
        let own = keys::keys().iter().filter(|key| key.scope == Scope::Peer);
        let own: Vec<&str> = own.map(|key| key.name).collect();
        let message = format!(
            "a database is balanced or a peer, not both: remove `peers`, or remove {}",
            in_backticks(&given(table, &own), cx)
        );
        cx.report.add(&peers.key_at, &peers.path, message);
    } else if guesses.is_empty() {
        let finding = Finding::new(
            "neither a peer nor balanced: give it `url` or `host` to be a peer, \
             or `peers` to be balanced",
        );
        cx.report.add(&item.key_at, &item.path, finding);
    }
}

/// Those of the keys that the table has.
fn given<'k>(table: &Table, keys: &[&'k str]) -> Vec<&'k str> {
    let keys = keys.iter().copied();
    keys.filter(|key| table.contains_key(*key)).collect()
}

fn in_backticks(keys: &[&str], cx: &Context<'_>) -> String {
    let keys: Vec<String> = keys.iter().map(|key| cx.spell(key)).collect();
    keys.join(", ")
}
