//! A file as a tree of names and values with their locations, before any of it is checked. TOML, Django's
//! dictionary and environment variables all become this tree. Knows keys and problems, but no rules among keys.

pub(crate) mod django;
mod django_options;
pub(crate) mod json;
pub(crate) mod toml;
pub(crate) mod variables;

use std::collections::BTreeMap;

use crate::problem::Location;

/// How a file spells its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As in this crate: `check_interval`.
    Toml,
    /// As in Django: `CHECK_INTERVAL`. Durations may be numbers of seconds.
    Django,
}

/// A value with its location. Has no `Debug`, because the value may be secret.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) location: Location,
    pub(crate) data: Data,
}

/// A value.
#[derive(Clone)]
pub(crate) enum Data {
    Text(String),
    /// The value of an environment variable, a text that may represent any other kind of value.
    Loose(String),
    /// Saturated at the limits of `i128`.
    Integer(i128),
    Float(f64),
    Bool(bool),
    Null,
    Datetime,
    Array(Vec<Item>),
    Table(Table),
}

/// A document with the keys of this crate.
pub(crate) struct Document {
    pub(crate) root: Item,
    /// What Django's dictionary says of each database besides its keys; empty for TOML.
    pub(crate) notes: BTreeMap<String, Note>,
}

/// What Django's `ENGINE` says a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    MySql,
    Balanced,
    /// Another product; the database is left out.
    Foreign,
    /// Missing or invalid, which has been reported.
    Unclear,
}

/// What Django's dictionary says of a database besides its keys.
pub(crate) struct Note {
    pub(crate) engine: Engine,
    /// Keys that were probably meant by unknown ones, which have been reported.
    pub(crate) guesses: Vec<&'static str>,
}

/// Values by key.
pub(crate) type Table = BTreeMap<String, Item>;

// === impl Dialect ===

impl Dialect {
    /// A key as this dialect spells it.
    pub(crate) fn spell(self, key: &str) -> String {
        match self {
            Dialect::Toml => key.to_owned(),
            Dialect::Django => key.to_uppercase(),
        }
    }

    /// The word for a table.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Dialect::Toml => "a table",
            Dialect::Django => "an object",
        }
    }
}

// === impl Item ===

impl Item {
    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.data {
            Data::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The type of the value, with its article.
    pub(crate) fn type_name(&self, dialect: Dialect) -> &'static str {
        match &self.data {
            Data::Text(_) | Data::Loose(_) => "a string",
            Data::Integer(_) => "an integer",
            Data::Float(_) => "a float",
            Data::Bool(_) => "a boolean",
            Data::Null => "null",
            Data::Datetime => "a datetime",
            Data::Array(_) => "an array",
            Data::Table(_) => dialect.table(),
        }
    }
}
