//! One server: where it is, as whom to log in, and how to keep connections to it.

use std::path::PathBuf;

use crate::secret::Secret;

/// One server, under the name that the file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The name it has in the file: `db0` for `[databases.db0]`.
    pub alias: String,
    /// Where it is, and as whom to log in.
    pub address: Address,
    /// Where its password was found, if it has one apart from a url.
    pub password_source: Option<PasswordSource>,
    /// How much of the work it gets, compared with others; 1 where the file does not say.
    pub weight: Option<u32>,
    /// How connections to it are kept.
    pub connections: Connections,
    /// How connections to it are encrypted; `None`: not at all, unless its url says so.
    pub tls: Option<Tls>,
}

/// Where a peer is, and as whom to log in: given whole or in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A `mysql://` url with one host. It is secret as a whole, since it may hold a password.
    ///
    /// Its query (`?pool_max=10`) belongs to the driver and is not checked here.
    Url(Secret),
    /// The parts of an address, each under a key of its own.
    Parts {
        /// A host name or an IP address, never empty; an IPv6 address without brackets.
        host: String,
        /// The TCP port, never 0; [`DEFAULT_PORT`](crate::DEFAULT_PORT) where the file does not say.
        port: u16,
        /// The user to log in as. An empty one counts as none.
        user: Option<String>,
        /// The password to log in with. An empty one counts as none.
        password: Option<Secret>,
        /// The database (schema) to select. An empty one counts as none.
        name: Option<String>,
    },
}

/// Where a password was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordSource {
    /// In the file itself, or in a variable that overrides its `password`.
    Inline,
    /// In this variable of the environment.
    Variable(String),
    /// In this file, which may be written anew: see
    /// [`Config::reload_inputs`](crate::Config::reload_inputs).
    File(PathBuf),
}

/// How connections to a peer are kept. What the file does not give is `None`: then the url may say
/// it, and else the driver's own default stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// So many are kept open while it is up; not above `pool_max`.
    pub pool_min: Option<usize>,
    /// So many may be out at a time; never 0.
    pub pool_max: Option<usize>,
    /// Whether they are reset when they are returned.
    pub reset_connection: Option<bool>,
}

/// How connections to a peer are encrypted. The files were there when the configuration was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The certificates that may sign the server's.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have.
    pub host_name: Option<String>,
}
