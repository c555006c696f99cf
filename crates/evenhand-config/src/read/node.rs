//! Tables and values that know their place and their type.
//!
//! They wrap what the TOML parser gives, so that the rooms that check values can complain about one
//! without carrying its path and position along.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::name;
use super::report::Report;

/// A table of the file.
pub(super) struct Table<'a> {
    /// The path of the key that names it; empty for the document.
    pub(super) path: String,
    /// The byte at which that key stands.
    pub(super) at: usize,
    entries: &'a DeTable<'a>,
}

/// A value of the file.
pub(super) struct Value<'a> {
    /// The path of its key, or of its place in an array.
    pub(super) path: String,
    /// The byte at which the key stands; for an item of an array, the item itself.
    pub(super) key_at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

// === impl Table ===

impl<'a> Table<'a> {
    pub(super) fn document(entries: &'a DeTable<'a>) -> Self {
        Table {
            path: String::new(),
            at: 0,
            entries,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let (key, value) = self.entries.get_key_value(key)?;
        Some(Value {
            path: name::child(&self.path, key.get_ref()),
            key_at: key.span().start,
            value,
        })
    }

    /// All keys and values, sorted by key.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.entries.iter().map(|(key, value)| {
            let value = Value {
                path: name::child(&self.path, key.get_ref()),
                key_at: key.span().start,
                value,
            };
            (key.get_ref().as_ref(), value)
        })
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    /// The string that it is. Where it is none, `expected` says what was, after "expected".
    pub(super) fn string(&self, expected: &str, report: &mut Report<'_>) -> Option<&'a str> {
        let string = self.value.get_ref().as_str();
        self.or_wrong_type(string, expected, report)
    }

    /// The integer that it is, in TOML's own notation.
    pub(super) fn integer(
        &self,
        expected: &str,
        report: &mut Report<'_>,
    ) -> Option<&'a DeInteger<'a>> {
        let integer = self.value.get_ref().as_integer();
        self.or_wrong_type(integer, expected, report)
    }

    /// The items of the array that it is.
    pub(super) fn array(&self, expected: &str, report: &mut Report<'_>) -> Option<Vec<Value<'a>>> {
        let array = self.value.get_ref().as_array();
        let array = self.or_wrong_type(array, expected, report)?;
        let item = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| Value {
            path: format!("{}[{index}]", self.path),
            key_at: value.span().start,
            value,
        };
        Some(array.iter().enumerate().map(item).collect())
    }

    /// The table that it is.
    pub(super) fn table(&self, report: &mut Report<'_>) -> Option<Table<'a>> {
        let table = self.value.get_ref().as_table();
        let entries = self.or_wrong_type(table, "a table", report)?;
        Some(Table {
            path: self.path.clone(),
            at: self.key_at,
            entries,
        })
    }

    /// Reports that the value itself is wrong.
    pub(super) fn wrong(&self, message: impl Into<String>, report: &mut Report<'_>) {
        report.add(self.value.span().start, &self.path, message);
    }

    fn or_wrong_type<T>(
        &self,
        found: Option<T>,
        expected: &str,
        report: &mut Report<'_>,
    ) -> Option<T> {
        if found.is_none() {
            let kind = self.value.get_ref().type_str();
            let article = if kind.starts_with(['a', 'i']) {
                "an"
            } else {
                "a"
            };
            self.wrong(
                format!("expected {expected}, found {article} {kind}"),
                report,
            );
        }
        found
    }
}
