//! The plan: what a file says once it has been checked.
//!
//! Nothing in a plan refers to anything by name any more. A balanced database holds its peers, every
//! default is filled in, and whoever has a plan has one that can be run; there is no second check to
//! make.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;
use crate::read::read;
use crate::secret::Secret;

/// How often an ejected peer is checked where a balanced database sets no `check_interval`:
/// 30 seconds.
pub const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The longest `check_interval` that is accepted: one day. A longer one is taken for a slip, since a
/// peer that came back would be left out for as long.
pub const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The port of a peer that is given by `host` and sets no `port`: 3306, MySQL's own.
pub const DEFAULT_PORT: u16 = 3306;

/// The peers and the balanced databases that one file names, checked.
///
/// `Debug` shows no url and no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(crate) peers: BTreeMap<String, Peer>,
    pub(crate) balanced: BTreeMap<String, BalancedDatabase>,
}

/// A database that is served by several equal peers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BalancedDatabase {
    /// The name it has in the file: `default` for `[databases.default]`.
    pub alias: String,
    /// Its peers, in the order in which the file lists them: at least one, and none twice.
    pub peers: Vec<Peer>,
    /// How often an ejected peer is checked: above zero, at most [`MAX_CHECK_INTERVAL`], and
    /// [`DEFAULT_CHECK_INTERVAL`] where the file does not say.
    pub check_interval: Duration,
}

/// One server, under the name that the file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The name it has in the file: `db0` for `[databases.db0]`.
    pub alias: String,
    /// Where it is, and as whom to log in.
    pub address: Address,
}

/// Where a peer is, and as whom to log in: given whole or in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A `mysql://` url with one host. It is secret as a whole, since it may hold a password.
    ///
    /// Its query (`?pool_max=10`) belongs to the driver and is not checked here.
    Url(Secret),
    /// The parts of an address, each under a key of its own.
    #[non_exhaustive]
    Parts {
        /// A host name or an IP address, never empty; an IPv6 address without brackets.
        host: String,
        /// The TCP port, never 0; [`DEFAULT_PORT`] where the file does not say.
        port: u16,
        /// The user to log in as. An empty one counts as none.
        user: Option<String>,
        /// The password to log in with. An empty one counts as none.
        password: Option<Secret>,
        /// The database (schema) to select. An empty one counts as none.
        name: Option<String>,
    },
}

// === impl Config ===

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when the file cannot be read or is not UTF-8, and [`Error::Invalid`], with
    /// everything that is wrong in it, when it is not a valid plan.
    pub fn load(path: impl AsRef<Path>) -> Result<Config, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Config::parse(&text, &path.display().to_string())
    }

    /// Checks `text`, which came from `origin`: a file name, or whatever else the errors shall call
    /// it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with everything that is wrong in the text.
    pub fn parse(text: &str, origin: &str) -> Result<Config, Error> {
        read(text, origin).map_err(Error::Invalid)
    }

    /// The balanced database of this name; none if there is no such name, or if it is a peer.
    pub fn balanced(&self, alias: &str) -> Option<&BalancedDatabase> {
        self.balanced.get(alias)
    }

    /// All balanced databases, sorted by alias. There may be none.
    pub fn balanced_databases(&self) -> impl Iterator<Item = &BalancedDatabase> {
        self.balanced.values()
    }

    /// The peer of this name; none if there is no such name, or if it is a balanced database.
    pub fn peer(&self, alias: &str) -> Option<&Peer> {
        self.peers.get(alias)
    }

    /// All peers, sorted by alias, also those that no balanced database lists.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }
}

/// Like [`Config::parse`], for a text that came from no file; errors call it `<inline>`.
impl FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Config, Error> {
        Config::parse(text, "<inline>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    const README: &str = include_str!("../README.md");

    /// The fenced block of the README that begins with `start`.
    fn block(start: &str) -> &'static str {
        let blocks = README.split("```").skip(1).step_by(2);
        let mut matching = blocks.filter_map(|block| {
            let (_, text) = block.split_once('\n')?;
            text.starts_with(start).then_some(text)
        });
        matching.next().unwrap()
    }

    /// The default that the README's table gives for a key.
    fn documented_default(key: &str) -> &'static str {
        let row = README
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")))
            .unwrap();
        row.trim_end_matches(" |").rsplit(" | ").next().unwrap()
    }

    #[test]
    fn the_documented_defaults_are_the_constants() {
        let interval = humantime::format_duration(DEFAULT_CHECK_INTERVAL);
        assert_eq!(
            documented_default("check_interval"),
            format!("`\"{interval}\"`")
        );
        assert_eq!(documented_default("port"), format!("`{DEFAULT_PORT}`"));
        let most = humantime::format_duration(MAX_CHECK_INTERVAL);
        assert!(README.contains(&format!("above zero, at most `\"{most}\"`")));

        let text = "[databases.a]\nhost = 'h'\n[databases.d]\npeers = ['a']";
        let config: Config = text.parse().unwrap();
        let database = config.balanced("d").unwrap();
        assert_eq!(database.check_interval, DEFAULT_CHECK_INTERVAL);
        let Address::Parts { port, .. } = database.peers[0].address else {
            panic!("expected parts");
        };
        assert_eq!(port, DEFAULT_PORT);
    }

    #[test]
    fn the_file_in_the_readme_is_valid() {
        let config = Config::parse(block("[databases.db0]      "), "evenhand.toml").unwrap();
        assert_eq!(
            config.balanced("default").unwrap().check_interval,
            Duration::from_secs(10)
        );
    }

    #[test]
    fn the_errors_in_the_readme_are_those_of_its_file() {
        let error = Config::parse(block("[databases.db0]\n"), "evenhand.toml").unwrap_err();
        assert_eq!(error.to_string(), block("evenhand.toml:").trim_end());
    }

    #[test]
    fn peers_and_balanced_databases_are_apart_and_sorted() {
        let text = "[databases.z]\nhost = 'z'\n[databases.y]\npeers = ['z', 'b']\n\
                    [databases.b]\nurl = 'mysql://b'\n[databases.a]\npeers = ['z']\n\
                    [databases.alone]\nhost = 'alone'";
        let config: Config = text.parse().unwrap();
        let peers: Vec<&str> = config.peers().map(|peer| peer.alias.as_str()).collect();
        assert_eq!(peers, ["alone", "b", "z"]);
        let balanced: Vec<&str> = config
            .balanced_databases()
            .map(|database| database.alias.as_str())
            .collect();
        assert_eq!(balanced, ["a", "y"]);
        assert!(config.peer("y").is_none() && config.balanced("z").is_none());
        assert_eq!(
            config.balanced("y").map(|database| &database.peers[0]),
            config.peer("z")
        );
    }

    #[test]
    fn a_file_of_peers_alone_is_valid() {
        let config: Config = "[databases.db0]\nhost = 'h'".parse().unwrap();
        assert_eq!(config.balanced_databases().count(), 0);
    }

    #[test]
    fn a_text_without_a_file_is_called_inline() {
        let Err(Error::Invalid(problems)) = "".parse::<Config>() else {
            panic!("expected problems");
        };
        assert_eq!(
            problems.iter().next().map(Problem::origin),
            Some("<inline>")
        );
    }

    #[test]
    fn a_file_is_read_and_named_in_its_errors() {
        let path =
            std::env::temp_dir().join(format!("evenhand-config-{}.toml", std::process::id()));
        std::fs::write(&path, "[databases.db0]\nhost = 'h'").unwrap();
        let valid = Config::load(&path);
        std::fs::write(&path, "[databases.db0]\nhost = ''").unwrap();
        let invalid = Config::load(&path);
        std::fs::write(&path, b"[databases.db0]\nhost = '\xff'").unwrap();
        let not_utf8 = Config::load(&path);
        std::fs::remove_file(&path).unwrap();

        assert!(valid.unwrap().peer("db0").is_some());
        let shown = invalid.unwrap_err().to_string();
        assert!(
            shown.starts_with(&format!("{}:2:8: ", path.display())),
            "{shown}"
        );
        assert!(matches!(not_utf8, Err(Error::Read { .. })), "{not_utf8:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_the_cause() {
        let error = Config::load("no/such/evenhand.toml").unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.starts_with("no/such/evenhand.toml: cannot be read: "),
            "{shown}"
        );
        let Error::Read { path, source } = error else {
            panic!("expected a read error");
        };
        assert_eq!(path, Path::new("no/such/evenhand.toml"));
        assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    }
}
