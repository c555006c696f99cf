//! How a plan is come by, and what is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{BalancedDatabase, Peer};
use crate::problem::{Error, Problems};
use crate::read::{Format, read};
use crate::sources::Sources;

/// The peers and the balanced databases that one file names, checked.
///
/// `Debug` shows no url and no password. Two are equal if they say the same, secrets included, however
/// they say it.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) peers: BTreeMap<String, Peer>,
    pub(crate) balanced: BTreeMap<String, BalancedDatabase>,
    pub(crate) warnings: Problems,
    pub(crate) inputs: Vec<PathBuf>,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.peers == other.peers && self.balanced == other.balanced
    }
}

impl Eq for Config {}

impl Config {
    /// Reads and checks the file at `path`, with the variables of this process: JSON with Django's
    /// keys if its name ends in `.json`, and TOML otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when the file cannot be read or is not UTF-8, and [`Error::Invalid`], with
    /// everything that is wrong in it, when it is not a valid plan.
    pub fn load(path: impl AsRef<Path>) -> Result<Config, Error> {
        Config::load_with(path, &Sources::process())
    }

    /// As [`load`](Self::load), with variables that are given. Files that the file names are sought
    /// in its directory.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with(path: impl AsRef<Path>, sources: &Sources) -> Result<Config, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let is_json = |extension: &std::ffi::OsStr| extension.eq_ignore_ascii_case("json");
        let format = if path.extension().is_some_and(is_json) {
            Format::Django
        } else {
            Format::Toml
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let sources = sources.clone().files_in(directory);
        let origin = path.display().to_string();
        let mut config = read(&text, &origin, format, &sources).map_err(Error::Invalid)?;
        config.inputs.insert(0, path.to_owned());
        Ok(config)
    }

    /// Checks `text`, which is TOML and came from `origin`: a file name, or whatever else the errors
    /// shall call it. Looks at no variable and no other file.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with everything that is wrong in the text.
    pub fn parse(text: &str, origin: &str) -> Result<Config, Error> {
        Config::parse_with(text, origin, &Sources::none())
    }

    /// As [`parse`](Self::parse), with variables and files.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_with(text: &str, origin: &str, sources: &Sources) -> Result<Config, Error> {
        read(text, origin, Format::Toml, sources).map_err(Error::Invalid)
    }

    /// As [`parse`](Self::parse), for JSON with Django's keys: the dictionary of Django's `DATABASES`,
    /// or an object that has it as `DATABASES`.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_json(text: &str, origin: &str) -> Result<Config, Error> {
        Config::parse_json_with(text, origin, &Sources::none())
    }

    /// As [`parse_json`](Self::parse_json), with variables and files.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_json_with(text: &str, origin: &str, sources: &Sources) -> Result<Config, Error> {
        read(text, origin, Format::Django, sources).map_err(Error::Invalid)
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
    ///
    /// It has inherited from the file's defaults alone: what a balanced database lends, only its
    /// [`peers`](BalancedDatabase::peers) have.
    pub fn peer(&self, alias: &str) -> Option<&Peer> {
        self.peers.get(alias)
    }

    /// All peers, sorted by alias, also those that no balanced database lists.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// What is doubtful about the file. It is for a person to see: the plan can be run.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The files that this plan was read from: the configuration, if it was [loaded](Self::load), then
    /// those of passwords and of TLS. Whoever reads the plan again when one of them changes has what
    /// they say.
    pub fn reload_inputs(&self) -> &[PathBuf] {
        &self.inputs
    }
}

/// Like [`Config::parse`], for a text that came from no file; errors call it `<inline>`.
impl FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Config, Error> {
        Config::parse(text, "<inline>")
    }
}
