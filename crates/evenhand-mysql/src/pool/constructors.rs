//! Pools from URLs and options alone, without names of their own for the peers.

use std::str::FromStr;
use std::sync::Arc;

use mysql_async::Opts;

use crate::error::Error;
use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::url;

impl Pool {
    /// A pool over the hosts of one URL, with the default [`PoolOptions`]. Connects to nothing yet.
    ///
    /// The hosts are a list: `mysql://app:secret@h1,h2:3307,[2001:db8::1]:3308/shop?pool_max=20`.
    /// Login, database and parameters hold for each of them; a peer's name is `host:port`. A URL
    /// with one host, as [`mysql_async::Pool::from_url`] takes it, makes a pool with one peer. A
    /// `/`, `?`, `#` or `@` in a user or password is written as `%2F`, `%3F`, `%23`, `%40`.
    ///
    /// It is [`TryFrom<&str>`](TryFrom) and [`FromStr`], too.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] for a list of hosts that is not right, [`Error::Options`] for anything else
    /// in the URL that the driver does not accept. Neither shows the password.
    ///
    /// ```
    /// use evenhand_mysql::Pool;
    ///
    /// let pool = Pool::from_url("mysql://app:secret@10.0.0.1,10.0.0.2:3307/shop")?;
    /// let names: Vec<_> = pool.statuses().into_iter().map(|status| status.peer).collect();
    /// assert_eq!(names, ["10.0.0.1:3306".into(), "10.0.0.2:3307".into()]);
    /// # Ok::<(), evenhand_mysql::Error>(())
    /// ```
    pub fn from_url(url: impl AsRef<str>) -> Result<Self, Error> {
        Self::from_url_with(url, PoolOptions::default())
    }

    /// As [`from_url`](Self::from_url), with `options`.
    ///
    /// # Errors
    ///
    /// As [`from_url`](Self::from_url).
    pub fn from_url_with(url: impl AsRef<str>, options: PoolOptions) -> Result<Self, Error> {
        let peers = url::split(url.as_ref())?;
        let peers = peers.iter().map(|(name, url)| (&**name, &**url));
        Self::with_options(peers, options)
    }

    /// A pool over peers that are given by their options alone, with the default [`PoolOptions`].
    /// Connects to nothing yet.
    ///
    /// As [`new`](Self::new), but each peer is named after where it is: `host:port`, or the path of
    /// its socket.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); two peers in the same place are two of the same name.
    pub fn from_opts<O>(peers: impl IntoIterator<Item = O>) -> Result<Self, Error>
    where
        Opts: TryFrom<O>,
        <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
    {
        Self::from_opts_with(peers, PoolOptions::default())
    }

    /// As [`from_opts`](Self::from_opts), with `options`.
    ///
    /// # Errors
    ///
    /// As [`from_opts`](Self::from_opts).
    pub fn from_opts_with<O>(
        peers: impl IntoIterator<Item = O>,
        options: PoolOptions,
    ) -> Result<Self, Error>
    where
        Opts: TryFrom<O>,
        <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
    {
        let named = peers
            .into_iter()
            .enumerate()
            .map(|(i, opts)| match Opts::try_from(opts) {
                Ok(opts) => Ok((place(&opts), opts)),
                // It has no name yet.
                Err(source) => Err(Error::Options {
                    peer: format!("number {}", i + 1).into(),
                    source: Box::new(source),
                }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::with_options::<Arc<str>, Opts>(named, options)
    }
}

/// Where a peer is.
fn place(opts: &Opts) -> Arc<str> {
    match opts.socket() {
        Some(path) => path.into(),
        None => {
            let (host, port) = (opts.ip_or_hostname(), opts.tcp_port());
            // An address with colons, if it has no brackets yet.
            match host.contains(':') && !host.starts_with('[') {
                true => format!("[{host}]:{port}").into(),
                false => format!("{host}:{port}").into(),
            }
        }
    }
}

/// As [`Pool::from_url`].
impl FromStr for Pool {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        Self::from_url(url)
    }
}

/// As [`Pool::from_url`].
impl TryFrom<&str> for Pool {
    type Error = Error;

    fn try_from(url: &str) -> Result<Self, Error> {
        Self::from_url(url)
    }
}
