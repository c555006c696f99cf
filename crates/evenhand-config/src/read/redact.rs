//! What of a text may be seen in a message: the values of keys that hold no secret, and known words.

use super::name;
use crate::keys::{self, Kind};
use crate::problem::Mask;
use crate::tree::{Data, Item, Place, Table, django};

/// For a text that cannot be parsed: the words that mean something.
pub(super) fn words() -> Mask {
    let mut mask = Mask::default();
    for key in keys::keys() {
        mask.words.insert(key.name.to_owned());
        mask.words.insert(key.name.to_uppercase());
    }
    let others = [
        "databases",
        "defaults",
        "DATABASES",
        "DEFAULTS",
        "OPTIONS",
        "query",
        "expect",
        "true",
        "false",
        "null",
    ];
    mask.words.extend(others.map(str::to_owned));
    mask.words
        .extend(django::KNOWN.iter().map(|(key, _)| (*key).to_owned()));
    mask
}

/// For a document, as it was parsed.
pub(super) fn mask(root: &Item) -> Mask {
    let mut mask = words();
    if let Some(table) = root.table() {
        walk(table, &mut mask);
    }
    mask
}

fn walk(table: &Table, mask: &mut Mask) {
    for (key, item) in table {
        if let Place::Text(span) = &item.key_at {
            if name::is_an_address(key) {
                mask.secret.push(span.clone());
            } else {
                mask.safe.push(span.clone());
                mask.words.insert(key.clone());
            }
        }
        let known = keys::find(&key.to_lowercase());
        match (known, &item.data) {
            (Some(key), _) if key.kind.is_secret() => secret(item, mask),
            // Of a table only values are secret, so that its keys can be pointed at.
            (_, Data::Table(table)) => walk(table, mask),
            (Some(key), Data::Text(text)) if !looks_like(key.kind, text) => secret(item, mask),
            (Some(_), data) => harmless(item, data, mask),
            (None, data) if is_known(key) => harmless(item, data, mask),
            (None, _) => secret(item, mask),
        }
    }
}

/// Whether a text looks like what its key asks for. Where a variable or a file is named, one that does
/// not may be the password, given by mistake.
fn looks_like(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Variable => name::is_a_variable(text),
        Kind::File => text.contains('/'),
        _ => true,
    }
}

/// Keys that are not ours, and hold no secret.
fn is_known(key: &str) -> bool {
    ["ENGINE", "OPTIONS", "query", "expect"].contains(&key)
        || django::KNOWN.iter().any(|(known, _)| *known == key)
}

fn harmless(item: &Item, data: &Data, mask: &mut Mask) {
    match data {
        Data::Array(items) => items
            .iter()
            .for_each(|item| harmless(item, &item.data, mask)),
        Data::Table(table) => walk(table, mask),
        Data::Text(text) if name::is_an_address(text) => secret(item, mask),
        _ => {
            if let Place::Text(span) = &item.at {
                mask.safe.push(span.clone());
            }
        }
    }
}

fn secret(item: &Item, mask: &mut Mask) {
    if let Place::Text(span) = &item.at {
        mask.secret.push(span.clone());
    }
}
