//! Everything that one file names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::balanced::BalancedDatabase;
use super::peer::Peer;
use crate::problem::Problems;

/// The peers and the balanced databases of one file, checked.
///
/// `Debug` shows no URL and no password. Two configurations are equal if their databases are, including
/// passwords; warnings and input files do not count.
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
    /// The balanced database with this alias. `None` if there is none, or if it is a peer.
    pub fn balanced(&self, alias: &str) -> Option<&BalancedDatabase> {
        self.balanced.get(alias)
    }

    /// All balanced databases, sorted by alias. There may be none.
    pub fn balanced_databases(&self) -> impl Iterator<Item = &BalancedDatabase> {
        self.balanced.values()
    }

    /// The peer with this alias. `None` if there is none, or if it is a balanced database.
    ///
    /// It has inherited from the file's defaults only. What it inherits from a balanced database is in
    /// that database's [`peers`](BalancedDatabase::peers).
    pub fn peer(&self, alias: &str) -> Option<&Peer> {
        self.peers.get(alias)
    }

    /// All peers, sorted by alias, including those that no balanced database lists.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// Warnings: what is probably a mistake in the file, but is a valid configuration. Log them or show
    /// them to a person.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The files that this configuration was read from: the configuration file, if it was
    /// [loaded](Self::load), then password and TLS files. Reload the configuration when one of them
    /// changes.
    pub fn reload_inputs(&self) -> &[PathBuf] {
        &self.inputs
    }
}
