//! A file as a tree of names and values with their locations, before any of it is checked. TOML, Django's
//! dictionary and environment variables all become this tree. Knows keys and problems, but no rules among keys.

pub(crate) mod django;
mod django_options;
pub(crate) mod json;
pub(crate) mod toml;
pub(crate) mod variables;

use std::collections::BTreeMap;

use crate::problem::Location;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// TOML with the keys of this crate.
    Toml,
    /// JSON with Django's keys: names are in capitals, and durations may be numbers of seconds.
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

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// One server.
    Peer,
    /// A list of peers.
    Balanced,
    /// Another product than MySQL, which is left out.
    Foreign,
    /// Neither a peer nor balanced, or both, which is reported.
    Unclear,
}

/// What Django's dictionary says of a database besides its keys.
pub(crate) struct Note {
    /// The role according to its `ENGINE`.
    pub(crate) role: Role,
    /// Keys that were probably meant by unknown ones, which have been reported.
    pub(crate) guesses: Vec<&'static str>,
}

/// Values by key.
pub(crate) type Table = BTreeMap<String, Item>;

// === impl Format ===

impl Format {
    /// A key as the file spells it.
    pub(crate) fn spell(self, key: &str) -> String {
        match self {
            Format::Toml => key.to_owned(),
            Format::Django => key.to_uppercase(),
        }
    }

    /// The word for a table.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Format::Toml => "a table",
            Format::Django => "an object",
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
    pub(crate) fn type_name(&self, format: Format) -> &'static str {
        match &self.data {
            Data::Text(_) | Data::Loose(_) => "a string",
            Data::Integer(_) => "an integer",
            Data::Float(_) => "a float",
            Data::Bool(_) => "a boolean",
            Data::Null => "null",
            Data::Datetime => "a datetime",
            Data::Array(_) => "an array",
            Data::Table(_) => format.table(),
        }
    }
}
