//! Which keys may stand where.

use super::name;
use super::report::Report;
use crate::keys::{self, Key, Scope};
use crate::problem::Finding;
use crate::suggest::nearest;
use crate::tree::Table;

/// A table that has keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    File,
    Defaults,
    Peer,
    Balanced,
}

const OF_THE_FILE: &[&str] = &["databases", "defaults"];

impl Where {
    fn owner(self) -> &'static str {
        match self {
            Where::File => "the file",
            Where::Defaults => "the defaults",
            Where::Peer => "a peer",
            Where::Balanced => "a balanced database",
        }
    }

    fn keys(self) -> Vec<&'static str> {
        let in_scope: fn(Scope) -> bool = match self {
            Where::File => return OF_THE_FILE.to_vec(),
            Where::Defaults => Scope::in_defaults,
            Where::Peer => Scope::in_peers,
            Where::Balanced => Scope::in_balanced,
        };
        let keys = keys::keys().iter().filter(|key| in_scope(key.scope));
        keys.map(|key| key.name).collect()
    }
}

/// Reports each key that may not stand in a table that is one of `places`. Answers with the keys that
/// were probably meant, so that nobody reports those as missing too.
pub(super) fn report(
    table: &Table,
    places: &[Where],
    report: &mut Report<'_>,
) -> Vec<&'static str> {
    let allowed: Vec<(Where, Vec<&str>)> = places.iter().map(|&at| (at, at.keys())).collect();
    let known = || allowed.iter().flat_map(|(_, keys)| keys.iter().copied());
    let mut guesses = Vec::new();
    for (key, item) in table {
        if known().any(|known| known == key) {
            continue;
        }
        // A key of another place is known; what is wrong is where it stands.
        if let (Some(found), [place @ (Where::Peer | Where::Balanced | Where::Defaults)]) =
            (keys::find(key), places)
        {
            let message = format!("not for {}: it belongs to {}", place.owner(), home(found));
            report.add(&item.key_at, &item.path, message);
            continue;
        }
        let guess = nearest(key, known().filter(|known| !table.contains_key(*known)));
        guesses.extend(guess);
        let lists: Vec<String> = allowed
            .iter()
            .map(|(place, keys)| {
                let keys = keys.iter().map(|key| report.dialect.spell(key));
                format!("{} has: {}", place.owner(), join(keys))
            })
            .collect();
        let lists = lists.join("; ");
        let name = name::shown(spelt(&item.path).unwrap_or(key));
        let finding = Finding::new(match guess {
            Some(_) => format!("unknown key `{name}`"),
            None => format!("unknown key `{name}`; {lists}"),
        });
        let guess = guess.map(|guess| report.dialect.spell(guess));
        let finding = finding.was(name).allowed(lists).near(guess.as_deref());
        report.add(&item.key_at, &item.path, finding);
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

/// The name of a key as the file has it, from its path.
fn spelt(path: &str) -> Option<&str> {
    let (_, last) = path.rsplit_once('.')?;
    (!last.contains(['"', '*'])).then_some(last)
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<String>>().join(", ")
}
