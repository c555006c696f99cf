//! Opens pools: from a list of peers, or from one URL with several hosts.

use std::str::FromStr;
use std::sync::Arc;

use evenhand::Peers;
use mysql_async::Opts;

use super::Pool;
use super::background::Background;
use super::background::purge_idle::Made;
use super::balancer::Balancer;
use super::seeds::Seeds;
use crate::error::Error;
use crate::observe::PoolMetrics;
use crate::options::PoolOptions;
use crate::peer::Endpoint;
use crate::peer::into_peer::IntoPeer;
use crate::peer::permits::Permits;
use crate::url::{self, UrlError};

impl PoolOptions {
    /// Opens a pool over these peers. Connects to nothing yet.
    ///
    /// A peer is given by connection options (a URL, an [`OptsBuilder`](mysql_async::OptsBuilder) or an
    /// [`Opts`](mysql_async::Opts)), or by a name and such options; see [`IntoPeer`]. The driver's pool
    /// options apply to each peer: at most `pool_max` connections to it are in use at a time (default:
    /// 100), and once the pool has been used `pool_min` are kept open to each that is up (default: 10).
    ///
    /// The pool turns `prefer_socket` off, so that a peer is always the address that was given, and sets
    /// TCP keepalive to 30 s unless the options set it.
    ///
    /// # Errors
    ///
    /// In [`mysql_async::Error::Other`], where [`Error::find`] finds them: [`Error::NoPeers`] for an empty
    /// list, [`Error::Peers`] if two peers have the same name, [`Error::Options`] for invalid connection
    /// options.
    pub fn open(self, peers: impl IntoIterator<Item = impl IntoPeer>) -> mysql_async::Result<Pool> {
        Ok(self.build(peers)?)
    }

    pub(crate) fn build(
        self,
        peers: impl IntoIterator<Item = impl IntoPeer>,
    ) -> Result<Pool, Error> {
        let pool = self.assemble(peers)?;
        match pool.peers.is_empty() {
            true => Err(Error::NoPeers),
            false => Ok(pool),
        }
    }

    /// A pool over these peers, which may be none.
    pub(crate) fn assemble(
        self,
        peers: impl IntoIterator<Item = impl IntoPeer>,
    ) -> Result<Pool, Error> {
        let endpoints = Endpoint::all(peers, &self)?;
        let made = Made::default();
        made.add(endpoints.iter().map(|(_, endpoint)| endpoint));
        let peers = Peers::named(self.get_name(), endpoints.clone())?;
        let seeds = self.get_discover().map(|_| Arc::new(Seeds::new(endpoints)));
        let balancer = Balancer::new(&peers, &self);
        let max = self.get_max_connections();
        Ok(Pool {
            peers,
            balancer: Arc::new(balancer),
            permits: max.map(|limit| Arc::new(Permits::new(limit))),
            metrics: PoolMetrics::new(self.get_name()),
            options: self,
            seeds,
            #[cfg(feature = "dns")]
            found: None,
            background: Background::default(),
            made,
        })
    }

    /// Opens a pool over the hosts of one URL. Connects to nothing yet.
    ///
    /// The hosts are a list: `mysql://app:secret@h1,h2:3307,[2001:db8::1]:3308/shop?pool_max=20`.
    /// Login, database and parameters apply to each of them, and a peer's name is `host:port`. A URL
    /// with one host, as [`mysql_async::Pool::from_url`] takes it, makes a pool with one peer. Write
    /// `/`, `?`, `#` and `@` in a user name or password as `%2F`, `%3F`, `%23` and `%40`. A `socket` is one
    /// server, so a URL with several hosts may not have it.
    ///
    /// With the feature `dns`, `mysql+srv://app:secret@_mysql._tcp.db.example/shop` finds its peers by the SRV
    /// records of the host, and `mysql+dns://app:secret@db.example:3306/shop` by all of its addresses: as
    /// `open_names`.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] in [`mysql_async::Error::Other`] for an invalid list of hosts;
    /// [`mysql_async::Error::Url`] for anything else in the URL that the driver does not accept. Neither
    /// shows the password.
    pub fn open_url(self, url: impl AsRef<str>) -> mysql_async::Result<Pool> {
        if let Some((scheme, url)) = url::of_name(url.as_ref()).map_err(Error::from)? {
            return self.open_name(scheme, &url);
        }
        let hosts = url::split(url.as_ref()).map_err(Error::from)?;
        let mut peers = Vec::new();
        for (name, url) in &hosts {
            let opts = Opts::from_url(url)?;
            if opts.socket().is_some() && hosts.len() > 1 {
                return Err(Error::from(UrlError::Socket).into());
            }
            peers.push((&**name, opts));
        }
        Ok(self.build(peers)?)
    }

    #[cfg(feature = "dns")]
    fn open_name(self, scheme: &str, url: &str) -> mysql_async::Result<Pool> {
        let opts = Opts::from_url(url)?;
        let host = opts.ip_or_hostname();
        let name = match scheme {
            url::SRV => evenhand_dns::Name::srv(host),
            _ => evenhand_dns::Name::host(host, opts.tcp_port()),
        };
        let invalid = |error: evenhand_dns::Error| Error::Options {
            peer: host.into(),
            cause: error.into(),
        };
        let name = name.map_err(invalid)?;
        self.open_names([(name, opts)])
    }

    #[cfg(not(feature = "dns"))]
    fn open_name(self, _: &str, _: &str) -> mysql_async::Result<Pool> {
        Err(Error::from(UrlError::NoDns).into())
    }
}

impl Pool {
    /// A pool over these peers with the default options: as [`PoolOptions::open`]. Connects to nothing
    /// yet.
    ///
    /// # Errors
    ///
    /// As [`PoolOptions::open`].
    pub fn new(peers: impl IntoIterator<Item = impl IntoPeer>) -> mysql_async::Result<Self> {
        PoolOptions::new().open(peers)
    }

    /// A pool over the hosts of one URL with the default options: as [`PoolOptions::open_url`].
    /// Connects to nothing yet. Also implemented as [`FromStr`] and [`TryFrom<&str>`](TryFrom).
    ///
    /// # Errors
    ///
    /// As [`PoolOptions::open_url`].
    ///
    /// ```
    /// use evenhand_mysql::Pool;
    ///
    /// let pool = Pool::from_url("mysql://app:secret@10.0.0.1,10.0.0.2:3307/shop")?;
    /// let names: Vec<_> = pool.statuses().into_iter().map(|status| status.peer).collect();
    /// assert_eq!(names, ["10.0.0.1:3306".into(), "10.0.0.2:3307".into()]);
    /// # Ok::<(), evenhand_mysql::mysql_async::Error>(())
    /// ```
    pub fn from_url(url: impl AsRef<str>) -> mysql_async::Result<Self> {
        PoolOptions::new().open_url(url)
    }
}

/// As [`Pool::from_url`].
impl FromStr for Pool {
    type Err = mysql_async::Error;

    fn from_str(url: &str) -> mysql_async::Result<Self> {
        Self::from_url(url)
    }
}

/// As [`Pool::from_url`].
impl TryFrom<&str> for Pool {
    type Error = mysql_async::Error;

    fn try_from(url: &str) -> mysql_async::Result<Self> {
        Self::from_url(url)
    }
}
