//! Lookups in DNS, by hickory.
//!
//! hickory's own search list and pairs of lookups are not used. They give an answer where one family of a
//! name failed, without a word of it, and may find the other family in another domain.

mod asker;
mod candidates;
mod srv;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Hosts, TokioResolver, system_conf};

use crate::lookup::address::Address;
use crate::lookup::error::Error;
use crate::lookup::found::{Found, Lost};
use crate::lookup::name::{Kind, Name};
use asker::{Asker, Families, shown};
use candidates::Search;

/// How long one query takes at most: 5 s, with the system's configuration.
pub const DEFAULT_QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often hickory sends a query again with the system's configuration.
const RETRIES: usize = 1;

/// How to look up names: a resolver and its settings. Clones share it. Use it in one tokio runtime, which its
/// connections to name servers belong to.
#[derive(Clone)]
pub struct Dns {
    asker: Arc<Asker>,
    hosts_file: HostsFile,
}

/// Which file of names is read before a name server is asked.
#[derive(Clone, Debug)]
enum HostsFile {
    No,
    System,
    At(Arc<Path>),
}

impl HostsFile {
    /// A file that cannot be read, or is not there, names nothing.
    fn read(&self) -> Hosts {
        match self {
            Self::No => Hosts::default(),
            Self::System => Hosts::from_system().unwrap_or_default(),
            Self::At(path) => {
                let mut hosts = Hosts::default();
                let read = File::open(path).and_then(|file| hosts.read_hosts_conf(file));
                read.map(|()| hosts).unwrap_or_default()
            }
        }
    }
}

impl Dns {
    /// With the system's configuration: on Unix `/etc/resolv.conf`, which is read now, and
    /// `/etc/hosts`, as [`hosts_file`](Self::hosts_file) says. A query takes [`DEFAULT_QUERY_TIMEOUT`] at most,
    /// whatever `resolv.conf` says.
    ///
    /// # Errors
    ///
    /// If the configuration cannot be read.
    pub fn system() -> Result<Self, Error> {
        let (config, mut options) = system_conf::read_system_conf().map_err(not_set_up)?;
        options.attempts = RETRIES;
        options.timeout = DEFAULT_QUERY_TIMEOUT / 2;
        Self::with_config(config, options)
    }

    /// With the one name server at `at`, over UDP and TCP, and nothing else of the system's: no search
    /// domains, no `/etc/hosts`.
    ///
    /// # Errors
    ///
    /// As [`with_config`](Self::with_config).
    pub fn name_server(at: SocketAddr) -> Result<Self, Error> {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = at.port();
        }
        let server = NameServerConfig::new(at.ip(), true, connections);
        let mut options = ResolverOpts::default();
        options.attempts = RETRIES;
        options.timeout = DEFAULT_QUERY_TIMEOUT / 2;
        options.use_hosts_file = ResolveHosts::Never;
        Self::with_config(ResolverConfig::from_name_servers(vec![server]), options)
    }

    /// With hickory's own settings.
    ///
    /// - A query takes `timeout` for each of `attempts` and one more, at most.
    /// - `ip_strategy` says whether A records, AAAA records or both are asked for. It does not order them.
    /// - TTLs that `positive_min_ttl` and `positive_max_ttl` change are those that count. Nothing is answered
    ///   from hickory's cache, whatever its size: a TTL would count twice.
    ///
    /// # Errors
    ///
    /// If hickory refuses them.
    pub fn with_config(config: ResolverConfig, options: ResolverOpts) -> Result<Self, Error> {
        let families = Families {
            v4: !matches!(options.ip_strategy, LookupIpStrategy::Ipv6Only),
            v6: !matches!(options.ip_strategy, LookupIpStrategy::Ipv4Only),
        };
        let tries = u32::try_from(options.attempts).unwrap_or(u32::MAX);
        let query_timeout = options.timeout.saturating_mul(tries.saturating_add(1));
        let hosts_file = match options.use_hosts_file {
            ResolveHosts::Never => HostsFile::No,
            _ => HostsFile::System,
        };
        let search = Search::new(&config, options.ndots);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options);
        // Read here instead, with each lookup.
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        let asker = Asker {
            resolver: builder.build().map_err(not_set_up)?,
            search,
            families,
            query_timeout,
        };
        Ok(Self {
            asker: Arc::new(asker),
            hosts_file,
        })
    }

    /// With this file of names in place of the system's, which it is written as: an IP address a line, and the
    /// names that it has. It is read anew with each lookup. One that cannot be read names nothing.
    ///
    /// A host is looked up there as it is written, before any name server is asked.
    pub fn hosts_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.hosts_file = HostsFile::At(path.into().into());
        self
    }

    /// Looks a name up once. A name server is asked: no answer comes from a cache of this resolver.
    ///
    /// Where only a part of the answer could not be found, such as one family or one target of an SRV
    /// record, it is in [`Found::lost`].
    ///
    /// # Errors
    ///
    /// If nothing is found.
    ///
    /// # Panics
    ///
    /// If it is polled outside a tokio runtime with timers and I/O.
    pub async fn look_up(&self, name: &Name) -> Result<Found, Error> {
        self.asker.resolver.clear_cache();
        let hosts = self.hosts().await;
        match name.kind() {
            Kind::Address(addr) => Ok(Found {
                addresses: vec![Address::new(*addr)],
                valid_for: Duration::MAX,
                lost: Vec::new(),
            }),
            Kind::Host { host, port } => {
                let shown = shown(host);
                let found = self.asker.host(host, &shown, &hosts).await?;
                let address = |ip| Address::new((ip, *port).into()).with_host(shown.clone());
                let lost = found.lost.map(|(family, error)| Lost {
                    host: shown.clone(),
                    family: Some(family),
                    error: Arc::new(error),
                    record: None,
                });
                Ok(Found {
                    addresses: found.ips.into_iter().map(address).collect(),
                    valid_for: found.ttl,
                    lost: lost.into_iter().collect(),
                })
            }
            Kind::Srv { service } => srv::look_up(&self.asker, service, &hosts).await,
        }
    }

    async fn hosts(&self) -> Arc<Hosts> {
        if let HostsFile::No = self.hosts_file {
            return Arc::default();
        }
        let file = self.hosts_file.clone();
        let read = tokio::task::spawn_blocking(move || file.read());
        Arc::new(read.await.unwrap_or_default())
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns")
            .field("search", &self.asker.search)
            .field("families", &self.asker.families)
            .field("query_timeout", &self.asker.query_timeout)
            .field("hosts_file", &self.hosts_file)
            .finish_non_exhaustive()
    }
}

fn not_set_up(error: NetError) -> Error {
    Error::Resolver {
        source: Box::new(error),
    }
}
