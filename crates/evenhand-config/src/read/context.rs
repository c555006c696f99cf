//! What the checks have at hand, and how a key's value is read by its kind.

use std::path::PathBuf;

use super::duration;
use super::name;
use super::report::Report;
use crate::keys::{self, Kind};
use crate::problem::Finding;
use crate::sources::Sources;
use crate::suggest::nearest;
use crate::tree::{Data, Dialect, Item, Table};

/// What checks have at hand.
pub(super) struct Context<'a> {
    pub(super) report: Report<'a>,
    pub(super) sources: &'a Sources,
    /// Files that the configuration names, in the order in which they were found.
    pub(super) inputs: Vec<PathBuf>,
}

/// The value of a key, and what it may be.
pub(super) fn given<'t>(table: &'t Table, key: &str) -> Option<(&'t Item, Kind)> {
    Some((table.get(key)?, keys::find(key)?.kind))
}

/// A text as a message may repeat it: a word or a number, which no password should look like where
/// one is expected.
pub(super) fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " ._%+-".contains(letter);
    if text.chars().count() <= 32 && text.chars().all(plain) {
        format!("\"{text}\"")
    } else {
        "a string".to_owned()
    }
}

impl Context<'_> {
    /// Remembers a file that the plan was read from.
    pub(super) fn inputs_push(&mut self, path: PathBuf) {
        if !self.inputs.contains(&path) {
            self.inputs.push(path);
        }
    }

    /// The table that a value is.
    pub(super) fn table<'t>(&mut self, item: &'t Item) -> Option<&'t Table> {
        let table = item.table();
        if table.is_none() {
            self.wrong_type(item, self.report.dialect.table().to_owned());
        }
        table
    }

    /// The string that a value is; of a secret kind too.
    pub(super) fn text(&mut self, table: &Table, key: &str) -> Option<String> {
        let (item, kind) = given(table, key)?;
        self.string(item, kind).map(str::to_owned)
    }

    /// As [`text`](Self::text), for a value at hand.
    pub(super) fn string<'t>(&mut self, item: &'t Item, kind: Kind) -> Option<&'t str> {
        match &item.data {
            Data::Text(text) | Data::Loose(text) => Some(text),
            _ => {
                self.wrong_type(item, kind.expected());
                None
            }
        }
    }

    pub(super) fn switch(&mut self, table: &Table, key: &str) -> Option<bool> {
        let (item, kind) = given(table, key)?;
        let found = match &item.data {
            Data::Bool(on) => return Some(*on),
            Data::Loose(text) => match text.trim().to_lowercase().as_str() {
                "true" => return Some(true),
                "false" => return Some(false),
                _ => quoted(text),
            },
            _ => item.kind(self.report.dialect).to_owned(),
        };
        let finding = Finding::new("").expected(kind.expected()).found(found);
        self.report.wrong(item, finding);
        None
    }

    pub(super) fn integer(&mut self, table: &Table, key: &str) -> Option<u32> {
        self.integer_or_none(table, key).flatten()
    }

    /// An integer, where `"none"` is `Some(None)`.
    pub(super) fn integer_or_none(&mut self, table: &Table, key: &str) -> Option<Option<u32>> {
        let (item, kind) = given(table, key)?;
        let Kind::Integer { least, most, none } = kind else {
            return None;
        };
        let (integer, found) = match &item.data {
            Data::Integer(integer) => (Some(*integer), integer.to_string()),
            Data::Loose(text) | Data::Text(text) if none && text == "none" => return Some(None),
            Data::Null if none => return Some(None),
            Data::Loose(text) => (text.trim().parse().ok(), quoted(text)),
            _ => {
                self.wrong_type(item, kind.expected());
                return None;
            }
        };
        match integer.map(u32::try_from) {
            Some(Ok(integer)) if (least..=most).contains(&integer) => return Some(Some(integer)),
            Some(_) => {
                // One that saturated is not what stands there.
                let found = if found.len() > 20 {
                    "a longer one".into()
                } else {
                    found
                };
                let finding = Finding::new("out of range").expected(kind.expected());
                self.report.wrong(item, finding.found(found));
            }
            None => {
                let finding = Finding::new("not an integer").expected(kind.expected());
                self.report.wrong(item, finding.found(found));
            }
        }
        None
    }

    pub(super) fn duration(&mut self, table: &Table, key: &str) -> Option<std::time::Duration> {
        duration::read(table, key, self).flatten()
    }

    pub(super) fn choice<T>(
        &mut self,
        table: &Table,
        key: &str,
        of: fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (item, kind) = given(table, key)?;
        let word = self.string(item, kind)?;
        let value = of(word);
        if value.is_none() {
            let words = match kind {
                Kind::Choice(words) => words,
                _ => &[],
            };
            self.unknown_word(item, word, kind, words);
        }
        value
    }

    /// Reports a word that is none of those that are allowed.
    pub(super) fn unknown_word(&mut self, item: &Item, word: &str, kind: Kind, words: &[&str]) {
        let guess = nearest(word, words.iter().copied());
        let finding = Finding::new("unknown word")
            .expected(kind.expected())
            .found(quoted(word));
        self.report.wrong(item, finding.near(guess));
    }

    /// What is expected of a value, in the words of the dialect.
    pub(super) fn expected(&self, kind: Kind) -> String {
        match (kind, self.report.dialect) {
            (Kind::Duration { .. }, Dialect::Django) => {
                format!("a number of seconds, or {}", kind.expected())
            }
            _ => kind.expected(),
        }
    }

    /// Reports that a value is not of the expected kind.
    pub(super) fn wrong_type(&mut self, item: &Item, expected: String) {
        let found = item.kind(self.report.dialect);
        let finding = Finding::new("").expected(expected).found(found);
        self.report.wrong(item, finding);
    }

    /// A key in backticks, as the file spells it.
    pub(super) fn spell(&self, key: &str) -> String {
        format!("`{}`", name::shown(&self.report.dialect.spell(key)))
    }
}
