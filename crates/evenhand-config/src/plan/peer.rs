//! One server: its address, its login and its connections.

use std::path::PathBuf;

use crate::secret::Secret;

/// The port of a peer that is given by `host` without `port`, and of a URL without a port: 3306.
pub const DEFAULT_PORT: u16 = 3306;

/// One server, under the alias that the file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its name in the file: `db0` for `[databases.db0]`.
    pub alias: String,
    /// Its address, and the login.
    pub address: Address,
    /// How the servers are found that this peer stands for, if its host is looked up in DNS. `None`: it is one
    /// server.
    pub hosts: Option<HostsKind>,
    /// Where its password was found. `None` if it has no password, or has it in the URL.
    pub password_source: Option<PasswordSource>,
    /// Its share of the work relative to other peers, 0 to 1 000 000. `None` if the file does not set it;
    /// that counts as 1.
    pub weight: Option<u32>,
    /// How many connections to it are kept, and how.
    pub connections: Connections,
    /// How connections to it are encrypted. `None`: without TLS, unless its URL asks for it.
    pub tls: Option<Tls>,
}

/// The address of a peer, and the login: as a URL or in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A `mysql://` URL with one host. The whole URL is secret, because it may contain a password.
    ///
    /// Its query (`?pool_max=10`) belongs to the driver and is not checked here.
    Url(Secret),
    /// The parts of an address, each from a key of the file.
    #[non_exhaustive]
    Parts {
        /// A host name or an IP address, never empty; an IPv6 address without brackets.
        host: String,
        /// The TCP port, never 0. Default: [`DEFAULT_PORT`].
        port: u16,
        /// The user to log in as. `None` if it is not set or empty.
        user: Option<String>,
        /// The password to log in with. `None` if it is not set or empty.
        password: Option<Secret>,
        /// The database (schema) to select. `None` if it is not set or empty.
        name: Option<String>,
    },
}

/// What a name stands for that is looked up in DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostsKind {
    /// The host, in `hosts` after `dns:`: every address of it is a peer, at the port.
    Addresses,
    /// The host, in `hosts` after `srv:`: its SRV records list the peers, each with a port, a weight and a tier. The
    /// port of the address has no meaning.
    Services,
}

/// Where a password was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordSource {
    /// In the file itself, or in an environment variable that overrides its `password`.
    Inline,
    /// In this environment variable.
    Variable(String),
    /// In this file, which may change: see [`Config::reload_inputs`](crate::Config::reload_inputs).
    File(PathBuf),
}

/// How connections to a peer are kept. Where a field is `None`, the URL of the peer may set it; otherwise the
/// default of the driver applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// The number of connections that are kept open while the peer is up; at most `pool_max`.
    pub pool_min: Option<usize>,
    /// The maximum number of connections in use at a time; never 0.
    pub pool_max: Option<usize>,
    /// Whether a connection is reset when it is returned.
    pub reset_connection: Option<bool>,
    /// The statements that each new connection begins with, in this order. None are empty.
    pub init: Option<Vec<String>>,
    /// The statements that follow `init`, and each reset, in this order. None are empty.
    pub setup: Option<Vec<String>>,
}

/// How connections to a peer are encrypted. The files existed when the configuration was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The certificates that may sign the server's. `None`: the roots of the platform.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have. `None`: the host of the peer.
    pub host_name: Option<String>,
}
