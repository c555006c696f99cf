//! Which keys a table may have.

use super::context::Context;
use crate::keys::{self, Key, Scope};
use crate::problem::{Finding, name};
use crate::suggest::nearest;
use crate::tree::Table;

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    File,
    Defaults,
    Peer,
    Balanced,
}

const FILE_KEYS: &[&str] = &["databases", "defaults"];

impl Section {
    fn owner(self) -> &'static str {
        match self {
            Section::File => "the file",
            Section::Defaults => "the defaults",
            Section::Peer => "a peer",
            Section::Balanced => "a balanced database",
        }
    }

    fn keys(self) -> Vec<&'static str> {
        let in_scope: fn(Scope) -> bool = match self {
            Section::File => return FILE_KEYS.to_vec(),
            Section::Defaults => Scope::in_defaults,
            Section::Peer => Scope::in_peers,
            Section::Balanced => Scope::in_balanced,
        };
        let keys = keys::keys().iter().filter(|key| in_scope(key.scope));
        keys.map(|key| key.name).collect()
    }
}

/// Reports each key that a table may not have. The table is one of `sections`. Returns the keys that were
/// probably meant, which need not be reported as missing.
pub(super) fn report(
    table: &Table,
    sections: &[Section],
    cx: &mut Context<'_>,
) -> Vec<&'static str> {
    let allowed: Vec<(Section, Vec<&str>)> = sections
        .iter()
        .map(|&section| (section, section.keys()))
        .collect();
    let known = || allowed.iter().flat_map(|(_, keys)| keys.iter().copied());
    let mut guesses = Vec::new();
    for (key, item) in table {
        if known().any(|known| known == key) {
            continue;
        }
        // A key of another section is known, only its place is wrong.
        if let (Some(found), [section @ (Section::Peer | Section::Balanced | Section::Defaults)]) =
            (keys::find(key), sections)
        {
            let message = format!("not for {}: it belongs to {}", section.owner(), home(found));
            cx.report.key_error(&item.location, message);
            continue;
        }
        let guess = nearest(key, known().filter(|known| !table.contains_key(*known)));
        guesses.extend(guess);
        let lists: Vec<String> = allowed
            .iter()
            .map(|(section, keys)| {
                let keys: Vec<String> = keys.iter().map(|key| cx.format.spell(key)).collect();
                format!("{} has: {}", section.owner(), keys.join(", "))
            })
            .collect();
        let lists = lists.join("; ");
        let name = name::shown(last(&item.location.path).unwrap_or(key));
        let finding = Finding::new(match guess {
            Some(_) => format!("unknown key `{name}`"),
            None => format!("unknown key `{name}`; {lists}"),
        });
        let guess = guess.map(|guess| cx.format.spell(guess));
        let finding = finding.found_only(name).expected_only(lists);
        cx.report
            .key_error(&item.location, finding.suggest(guess.as_deref()));
    }
    guesses
}

/// Where a key belongs, in words.
fn home(key: &Key) -> &'static str {
    match key.scope {
        Scope::Peer => "a peer, one with `url` or `host`",
        Scope::Inherited => "a peer, a balanced database or the defaults",
        Scope::Balanced => "a balanced database",
        Scope::Setting => "a balanced database, one with `peers`, or to the defaults",
    }
}

/// The key at the end of a path, as the file spells it.
fn last(path: &str) -> Option<&str> {
    let (_, last) = path.rsplit_once('.')?;
    (!last.contains(['"', '*'])).then_some(last)
}
