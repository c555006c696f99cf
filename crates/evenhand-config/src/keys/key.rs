//! What is known of a key.

use std::time::Duration;

/// A key of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Its name: `check_interval`. Django's dictionary has it in capitals.
    pub name: &'static str,
    /// Where it may appear.
    pub scope: Scope,
    /// Which values it takes.
    pub kind: ValueKind,
    /// The default, as a value (`30s`) or in words.
    pub default: &'static str,
    /// What it means, in Markdown.
    pub doc: &'static str,
    /// The setting of the API that it sets, as a path within `evenhand_mysql` or the driver.
    pub setting: &'static str,
}

/// Where a key may appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// In a peer only.
    Peer,
    /// In a peer, and in a balanced database or the defaults, from which peers inherit it.
    Inherited,
    /// In a balanced database only.
    Balanced,
    /// In a balanced database or the defaults.
    Setting,
}

/// Which values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// Any text; an empty one counts as not set.
    Text,
    /// A text that is never shown.
    Secret,
    /// A `mysql://` URL with one host; never shown.
    Url,
    /// A host name or an IP address.
    Host,
    /// A name that is looked up in DNS: `"dns:db.example:3306"` or `"srv:_mysql._tcp.db.example"`.
    Hosts,
    /// SQL statements; a text is one.
    Statements,
    /// The aliases of peers: at least one, no duplicates.
    Aliases,
    /// The name of an environment variable.
    Variable,
    /// The path of a file, relative to the directory of the configuration file.
    File,
    /// A number with a unit, such as `"30s"`; above zero.
    Duration {
        /// The longest duration.
        max: Duration,
        /// Whether it may be `"none"`.
        none: bool,
    },
    /// An integer.
    Integer {
        /// The least value.
        min: u32,
        /// The greatest value.
        max: u32,
        /// Whether it may be `"none"`.
        none: bool,
    },
    /// A number of peers, or a share of them such as `"30%"`.
    MinUp,
    /// `true` or `false`.
    Switch,
    /// Addresses that stand for others: `"10.0.0.1:3306 = db.example:33061"`.
    AddressMap,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or a table with `query` and `expect`.
    Probe(&'static [&'static str]),
}

// === impl Key ===

impl Key {
    /// The default as a duration. `None` if it is not a duration.
    pub(crate) fn default_duration(&self) -> Option<Duration> {
        match self.kind {
            ValueKind::Duration { .. } => humantime::parse_duration(self.default).ok(),
            _ => None,
        }
    }
}

// === impl Scope ===

impl Scope {
    /// Whether the key may appear in a peer.
    pub fn in_peers(self) -> bool {
        matches!(self, Scope::Peer | Scope::Inherited)
    }

    /// Whether the key may appear in a balanced database.
    pub fn in_balanced(self) -> bool {
        self != Scope::Peer
    }

    /// Whether the key may appear in the defaults.
    pub fn in_defaults(self) -> bool {
        matches!(self, Scope::Inherited | Scope::Setting)
    }
}

// === impl ValueKind ===

impl ValueKind {
    /// The expected value, in words that follow "expected".
    pub fn expected(self) -> String {
        let mut text = match self {
            ValueKind::Text | ValueKind::Secret => "a string".to_owned(),
            ValueKind::Url => "a string, mysql://user:password@host:port/name".to_owned(),
            ValueKind::Host => "a string, a host name or an IP address".to_owned(),
            ValueKind::Hosts => {
                "a string, \"dns:host:port\" or \"srv:_mysql._tcp.domain\"".to_owned()
            }
            ValueKind::Statements => "a string, an SQL statement, or an array of such".to_owned(),
            ValueKind::Aliases => "an array of aliases, such as [\"db0\", \"db1\"]".to_owned(),
            ValueKind::Variable => "a string, the name of an environment variable".to_owned(),
            ValueKind::File => "a string, the path of a file".to_owned(),
            ValueKind::Duration { max, .. } => format!(
                "a string such as \"30s\", \"500ms\" or \"1m 30s\", at most \"{}\"",
                humantime::format_duration(max)
            ),
            ValueKind::Integer { min, max, .. } => format!("an integer from {min} to {max}"),
            ValueKind::MinUp => "a number of peers, or a share such as \"30%\"".to_owned(),
            ValueKind::AddressMap => {
                "an array of strings such as \"10.0.0.1:3306 = db.example:33061\"".to_owned()
            }
            ValueKind::Switch => "true or false".to_owned(),
            ValueKind::Choice(words) => one_of(words),
            ValueKind::Probe(words) => {
                format!("{}, or a table with `query` and `expect`", one_of(words))
            }
        };
        if self.may_be_none() {
            text.push_str(", or \"none\"");
        }
        text
    }

    /// Whether the value may be `"none"`.
    pub fn may_be_none(self) -> bool {
        matches!(
            self,
            ValueKind::Duration { none: true, .. } | ValueKind::Integer { none: true, .. }
        )
    }

    /// Whether the value must not be shown.
    pub fn is_secret(self) -> bool {
        matches!(self, ValueKind::Secret | ValueKind::Url)
    }
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("one of {}", words.join(", "))
}
