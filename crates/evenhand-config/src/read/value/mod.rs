//! Reads the value of a key: one type of value a file. Knows the tree, the table of keys and the problems.

mod address_map;
mod duration;
mod host;
mod hosts;
mod min_up;
mod probe;

use std::path::PathBuf;

pub(super) use self::host::Host;
pub(super) use self::hosts::Hosts;
use super::context::Context;
use crate::keys::{self, ValueKind};
use crate::plan::{AllDownKind, DiscoverKind, PickKind};
use crate::problem::{Finding, name};
use crate::sources;
use crate::suggest::nearest;
use crate::tree::{Data, Item, Table};

/// A type of value that a key can have.
pub(super) trait Value: Sized {
    /// Reads a value of a key of this kind. `None` if it is wrong, which is reported.
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self>;
}

/// The value of a key. `None` if the table does not have it, or if it is wrong, which is reported.
pub(super) fn read<T: Value>(table: &Table, key: &str, cx: &mut Context<'_>) -> Option<T> {
    let (item, kind) = given(table, key)?;
    T::from_item(item, kind, cx)
}

/// The unread value of a key, and its kind.
pub(super) fn given<'t>(table: &'t Table, key: &str) -> Option<(&'t Item, ValueKind)> {
    Some((table.get(key)?, keys::find(key)?.kind))
}

/// A value as a string, which may be secret.
pub(super) fn string<'t>(item: &'t Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<&'t str> {
    match &item.data {
        Data::Text(text) | Data::Loose(text) => Some(text),
        _ => {
            cx.wrong_type(item, kind.expected());
            None
        }
    }
}

/// Reports a value of the right type that is wrong, where the message says what is expected.
pub(super) fn refuse(
    item: &Item,
    kind: ValueKind,
    message: impl Into<String>,
    cx: &mut Context<'_>,
) {
    let finding = Finding::new(message).expected_only(kind.expected());
    cx.report.value_error(&item.location, finding);
}

/// The value that a word stands for.
fn word<T>(
    item: &Item,
    kind: ValueKind,
    from_word: fn(&str) -> Option<T>,
    cx: &mut Context<'_>,
) -> Option<T> {
    let word = string(item, kind, cx)?;
    let value = from_word(word);
    if value.is_none() {
        let (ValueKind::Choice(words) | ValueKind::Probe(words)) = kind else {
            return None;
        };
        let guess = nearest(word, words.iter().copied());
        let finding = Finding::new("unknown word").expected(kind.expected());
        let finding = finding.found(name::quoted(word)).suggest(guess);
        cx.report.value_error(&item.location, finding);
    }
    value
}

/// A text is one statement.
impl Value for Vec<String> {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let items = match &item.data {
            Data::Array(items) => items.iter().collect(),
            _ => vec![item],
        };
        let mut statements = Vec::new();
        for item in items {
            let statement = string(item, kind, cx)?;
            if statement.trim().is_empty() {
                refuse(item, kind, "empty: give a statement", cx);
                return None;
            }
            statements.push(statement.to_owned());
        }
        Some(statements)
    }
}

impl Value for bool {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let found = match &item.data {
            Data::Bool(on) => return Some(*on),
            Data::Loose(text) => match text.trim().to_lowercase().as_str() {
                "true" => return Some(true),
                "false" => return Some(false),
                _ => name::quoted(text),
            },
            _ => item.type_name(cx.format).to_owned(),
        };
        let finding = Finding::new("").expected(kind.expected()).found(found);
        cx.report.value_error(&item.location, finding);
        None
    }
}

impl Value for u32 {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let ValueKind::Integer { min, max, .. } = kind else {
            return None;
        };
        let (integer, found) = match &item.data {
            Data::Integer(integer) => (Some(*integer), integer.to_string()),
            Data::Loose(text) => (text.trim().parse().ok(), name::quoted(text)),
            _ => {
                cx.wrong_type(item, kind.expected());
                return None;
            }
        };
        let (what, found) = match integer.map(u32::try_from) {
            Some(Ok(integer)) if (min..=max).contains(&integer) => return Some(integer),
            // A saturated integer is not the one in the file.
            Some(_) if found.len() > 20 => ("out of range", "a longer one".to_owned()),
            Some(_) => ("out of range", found),
            None => ("not an integer", found),
        };
        let finding = Finding::new(what).expected(kind.expected()).found(found);
        cx.report.value_error(&item.location, finding);
        None
    }
}

impl Value for usize {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let integer = u32::from_item(item, kind, cx)?;
        Some(usize::try_from(integer).unwrap_or(usize::MAX))
    }
}

/// `"none"` is `Some(None)`.
impl<T: Value> Value for Option<T> {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        match &item.data {
            Data::Text(text) | Data::Loose(text) if text == "none" => Some(None),
            Data::Null => Some(None),
            _ => T::from_item(item, kind, cx).map(Some),
        }
    }
}

impl Value for PickKind {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        word(item, kind, PickKind::from_word, cx)
    }
}

impl Value for AllDownKind {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        word(item, kind, AllDownKind::from_word, cx)
    }
}

impl Value for DiscoverKind {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        word(item, kind, DiscoverKind::from_word, cx)
    }
}

/// A file that must exist, unless no files are read.
impl Value for PathBuf {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let name = string(item, kind, cx)?;
        let path = cx.sources.path(name);
        if name.is_empty() {
            refuse(item, kind, "empty: give the path of a file", cx);
            return None;
        }
        if cx.sources.reads_files() {
            if let Err(error) = sources::check_file(&path) {
                refuse(item, kind, format!("cannot be read: {error}"), cx);
                return None;
            }
            cx.add_input(path.clone());
        }
        Some(path)
    }
}
