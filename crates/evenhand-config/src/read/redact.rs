//! Which parts of the file messages may show: values of keys that hold no secret, and known words.

use crate::keys::{self, ValueKind};
use crate::problem::{Mask, Place, name};
use crate::tree::{Data, Item, Table, django};

/// The mask of a text that cannot be parsed: it shows known words.
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
        .extend(django::IGNORED.iter().map(|(key, _)| (*key).to_owned()));
    mask
}

/// The mask of a parsed document.
pub(super) fn mask(root: &Item) -> Mask {
    let mut mask = words();
    if let Some(table) = root.table() {
        walk(table, &mut mask);
    }
    mask
}

fn walk(table: &Table, mask: &mut Mask) {
    for (key, item) in table {
        if let Place::Text(span) = &item.location.key {
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
            // The keys of a table are not secret.
            (_, Data::Table(table)) => walk(table, mask),
            (Some(key), Data::Text(text)) if !looks_like(key.kind, text) => secret(item, mask),
            (Some(_), data) => harmless(item, data, mask),
            (None, data) if is_known(key) => harmless(item, data, mask),
            (None, _) => secret(item, mask),
        }
    }
}

/// Whether a text looks like a value of its key. In place of a variable or a file, another text may be the
/// password itself.
fn looks_like(kind: ValueKind, text: &str) -> bool {
    match kind {
        ValueKind::Variable => name::is_a_variable(text),
        ValueKind::File => text.contains('/'),
        _ => true,
    }
}

/// Whether a key is one of Django's, or of a probe, that hold no secret.
fn is_known(key: &str) -> bool {
    ["ENGINE", "OPTIONS", "query", "expect"].contains(&key)
        || django::IGNORED.iter().any(|(known, _)| *known == key)
}

fn harmless(item: &Item, data: &Data, mask: &mut Mask) {
    match data {
        Data::Array(items) => items
            .iter()
            .for_each(|item| harmless(item, &item.data, mask)),
        Data::Table(table) => walk(table, mask),
        Data::Text(text) if name::is_an_address(text) => secret(item, mask),
        _ => {
            if let Place::Text(span) = &item.location.value {
                mask.safe.push(span.clone());
            }
        }
    }
}

fn secret(item: &Item, mask: &mut Mask) {
    if let Place::Text(span) = &item.location.value {
        mask.secret.push(span.clone());
    }
}
