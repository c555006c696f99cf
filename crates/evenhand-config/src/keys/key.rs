//! Every key that a file may have, as data.
//!
//! The [table](keys) says where a key may stand, what its value may be, what holds where it is not
//! given, and which setting of the API it is. The checks, the suggestions, the environment's
//! variables, the reference page and the schema for editors are all made of it.

mod table;

use std::fmt::Write as _;
use std::time::Duration;

/// One key, and everything that is to be known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Its name: `check_interval`. In Django's dictionary it is in capitals.
    pub name: &'static str,
    /// Where it may stand.
    pub scope: Scope,
    /// What its value may be.
    pub kind: Kind,
    /// What holds where nobody gives it, as a value (`30s`) or in words.
    pub default: &'static str,
    /// What it means, in Markdown.
    pub doc: &'static str,
    /// The setting of the API that it is, as a path within `evenhand_mysql` or the driver.
    pub setting: &'static str,
}

/// Where a key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// In a peer alone.
    Peer,
    /// In a peer; and in a balanced database or the defaults, whose peers inherit it.
    Inherited,
    /// In a balanced database alone.
    Balanced,
    /// In a balanced database, or in the defaults.
    Setting,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Any text; an empty one counts as none.
    Text,
    /// A text that is never shown.
    Secret,
    /// A `mysql://` url with one host; never shown.
    Url,
    /// A host name or an IP address.
    Host,
    /// The aliases of peers: at least one, none twice.
    Aliases,
    /// The name of a variable of the environment.
    Variable,
    /// A file, relative to the directory of the file that names it.
    File,
    /// A number and a unit: `"30s"`; above zero.
    Duration {
        /// The longest.
        most: Duration,
        /// Whether it may be `"none"`.
        none: bool,
    },
    /// A whole number.
    Integer {
        /// The least.
        least: u32,
        /// The most.
        most: u32,
        /// Whether it may be `"none"`.
        none: bool,
    },
    /// A number of peers, or a share of them: `"30%"`.
    Keep,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of [`PROBES`], or a table with `query` and `expect`.
    Probe,
}

/// The words that name a probe.
pub const PROBES: &[&str] = &["ping", "ready", "writable"];

/// Every key, in the order of the reference page.
pub fn keys() -> &'static [Key] {
    table::KEYS
}

/// The key of this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.name == name)
}

// === impl Key ===

impl Key {
    /// The duration that holds where nobody gives it; none if that is none, or no duration.
    ///
    /// ```
    /// let keys = evenhand_config::keys();
    /// let interval = keys.iter().find(|key| key.name == "check_interval").unwrap();
    /// assert_eq!(
    ///     interval.default_duration(),
    ///     Some(evenhand_config::DEFAULT_CHECK_INTERVAL)
    /// );
    /// ```
    pub fn default_duration(&self) -> Option<Duration> {
        match self.kind {
            Kind::Duration { .. } => humantime::parse_duration(self.default).ok(),
            _ => None,
        }
    }
}

// === impl Scope ===

impl Scope {
    /// Whether it includes peers.
    pub fn in_peers(self) -> bool {
        matches!(self, Scope::Peer | Scope::Inherited)
    }

    /// Whether it includes balanced databases.
    pub fn in_balanced(self) -> bool {
        self != Scope::Peer
    }

    /// Whether it includes the defaults.
    pub fn in_defaults(self) -> bool {
        matches!(self, Scope::Inherited | Scope::Setting)
    }
}

// === impl Kind ===

impl Kind {
    /// What is expected, after "expected".
    pub fn expected(self) -> String {
        let mut text = match self {
            Kind::Text | Kind::Secret => "a string".to_owned(),
            Kind::Url => "a string, mysql://user:password@host:port/name".to_owned(),
            Kind::Host => "a string, a host name or an IP address".to_owned(),
            Kind::Aliases => "an array of aliases, such as [\"db0\", \"db1\"]".to_owned(),
            Kind::Variable => "a string, the name of a variable".to_owned(),
            Kind::File => "a string, the path of a file".to_owned(),
            Kind::Duration { most, .. } => format!(
                "a string such as \"30s\", \"500ms\" or \"1m 30s\", at most \"{}\"",
                humantime::format_duration(most)
            ),
            Kind::Integer { least, most, .. } => format!("an integer from {least} to {most}"),
            Kind::Keep => "a number of peers, or a share such as \"30%\"".to_owned(),
            Kind::Switch => "true or false".to_owned(),
            Kind::Choice(words) => format!("one of {}", quoted(words)),
            Kind::Probe => format!(
                "one of {}, or a table with `query` and `expect`",
                quoted(PROBES)
            ),
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
            Kind::Duration { none: true, .. } | Kind::Integer { none: true, .. }
        )
    }

    /// Whether the value must not be shown.
    pub fn is_secret(self) -> bool {
        matches!(self, Kind::Secret | Kind::Url)
    }
}

fn quoted(words: &[&str]) -> String {
    let mut text = String::new();
    for word in words {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}\"{word}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_stands_once_and_says_what_it_is() {
        let names: BTreeSet<&str> = keys().iter().map(|key| key.name).collect();
        assert_eq!(names.len(), keys().len());
        for key in keys() {
            assert!(
                !key.doc.is_empty() && !key.default.is_empty() && !key.setting.is_empty(),
                "{}",
                key.name
            );
            assert!(
                key.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            // Two underscores part the names in a variable.
            assert!(!key.name.contains("__"), "{}", key.name);
        }
    }

    #[test]
    fn what_is_expected_names_the_bounds() {
        let expected = |name: &str| find(name).unwrap().kind.expected();
        assert_eq!(expected("fall"), "an integer from 1 to 1000");
        assert_eq!(
            expected("idle_timeout"),
            "a string such as \"30s\", \"500ms\" or \"1m 30s\", at most \"30days\", or \"none\""
        );
        assert_eq!(
            expected("all_down"),
            "one of \"wait\", \"fail\", \"last_resort\""
        );
    }
}
