//! What a file says before anything of it has been judged: names and values that know their places.
//!
//! TOML, Django's dictionary in JSON and variables of the environment all come out as this tree, so
//! every check is written once. An [`Item`] carries its path as the reader of the message knows it,
//! which in a Django dictionary is Django's.
//!
//! | room | holds |
//! | --- | --- |
//! | `toml`, `json` | texts to trees |
//! | `django`, `options` | Django's names to ours, and what of it has no meaning here |
//! | `variables` | variables of the environment, laid over a tree |

pub(crate) mod django;
pub(crate) mod json;
mod options;
pub(crate) mod toml;
pub(crate) mod variables;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use self::django::Engine;

/// How a file spells its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Our own: `check_interval`.
    Toml,
    /// Django's: `CHECK_INTERVAL`, and durations may be numbers of seconds.
    Django,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// In the text, at these bytes.
    Text(Range<usize>),
    /// In this variable of the environment.
    Variable(Arc<str>),
}

/// A value, and where it comes from. There is no `Debug`: it may be secret.
#[derive(Clone)]
pub(crate) struct Item {
    /// The path of its key, or of its place in an array.
    pub(crate) path: String,
    /// Where its key stands; for an item of an array, the item itself.
    pub(crate) key_at: Place,
    /// Where it stands itself.
    pub(crate) at: Place,
    pub(crate) data: Data,
}

/// A value.
#[derive(Clone)]
pub(crate) enum Data {
    Text(String),
    /// What a variable says: a text that may stand for any other kind of value.
    Loose(String),
    /// Saturated: what no `i128` holds is out of every range.
    Integer(i128),
    Float(f64),
    Bool(bool),
    Null,
    Datetime,
    Array(Vec<Item>),
    Table(Table),
}

/// A document whose names are ours.
pub(crate) struct Document {
    pub(crate) root: Item,
    /// What Django's dictionary says of each database; empty where the keys tell.
    pub(crate) notes: BTreeMap<String, Note>,
}

/// What Django's dictionary says of a database beside its keys.
pub(crate) struct Note {
    pub(crate) engine: Engine,
    /// Keys that were probably meant by others, which have been reported.
    pub(crate) guesses: Vec<&'static str>,
}

/// Values by key.
pub(crate) type Table = BTreeMap<String, Item>;

// === impl Dialect ===

impl Dialect {
    /// A key of ours as this dialect spells it.
    pub(crate) fn spell(self, key: &str) -> String {
        match self {
            Dialect::Toml => key.to_owned(),
            Dialect::Django => key.to_uppercase(),
        }
    }

    /// What it calls a table.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Dialect::Toml => "a table",
            Dialect::Django => "an object",
        }
    }
}

// === impl Place ===

impl Place {
    /// The beginning of the text: where a document stands that has nothing in it.
    pub(crate) fn start() -> Self {
        Place::Text(0..0)
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

    /// What kind of value it is, with its article.
    pub(crate) fn kind(&self, dialect: Dialect) -> &'static str {
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
