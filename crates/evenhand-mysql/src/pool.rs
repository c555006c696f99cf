//! A pool of connections over several equal peers.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{AllDown, Balance, BalanceLayer, Cloned, Events, Peers, Status};
use evenhand_config::{Address, BalancedDatabase};
use mysql_async::{Opts, OptsBuilder};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tower_layer::Layer;
use tower_service::Service;

use crate::classify::ByPhase;
use crate::conn::PeerConn;
use crate::connector::{Checkout, Connector};
use crate::endpoint::Endpoint;
use crate::error::{AttemptError, Error};
use crate::options::PoolOptions;
use crate::prober::Prober;
use crate::purge::Purger;

/// How long [`Pool::disconnect`] waits for connections to end.
const DISCONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Connections to several equal MySQL peers, a near drop-in for [`mysql_async::Pool`].
///
/// Each checkout goes to a random peer that is up. One that cannot be connected to, or does not
/// answer in time, is ejected, and the checkout goes on to another. Ejected peers are probed in the
/// background, by a login and a statement, and come back when they have proved themselves. Clones
/// share one pool.
///
/// ```no_run
/// use evenhand_mysql::Pool;
/// use evenhand_mysql::mysql_async::{self, prelude::*};
///
/// # async fn run() -> mysql_async::Result<()> {
/// let pool = Pool::new([
///     ("db0", "mysql://app:secret@10.0.0.1:3306/shop"),
///     ("db1", "mysql://app:secret@10.0.0.2:3306/shop"),
/// ])?;
///
/// let mut conn = pool.get_conn().await?;
/// let orders: Option<u64> = conn.query_first("SELECT COUNT(*) FROM orders").await?;
/// # Ok(()) }
/// ```
///
/// A pool belongs to the tokio runtime in which it is first used, as a [`mysql_async::Pool`] does.
#[derive(Clone)]
pub struct Pool {
    peers: Peers<Arc<Endpoint>>,
    balance: Balance<Connector, Arc<Endpoint>, ByPhase, Cloned>,
    options: PoolOptions,
    purger: Purger,
}

impl Pool {
    /// A pool over the named peers, with the default [`PoolOptions`]. Connects to nothing yet.
    ///
    /// A peer is given by whatever makes a [`mysql_async::Opts`]: a URL, an
    /// [`OptsBuilder`] or an `Opts`. Its pool options hold for each peer: at most `pool_max`
    /// connections to each are out at a time (100 unless set).
    ///
    /// Some options are set by this pool: `prefer_socket` is off, so that a peer is always the one
    /// that was named, and TCP keepalive is on (30 s) unless the options set it.
    ///
    /// # Errors
    ///
    /// [`Error::NoPeers`] for an empty list, [`Error::Peers`] for a name that stands twice,
    /// [`Error::Options`] for a URL that is not valid.
    pub fn new<N, O>(peers: impl IntoIterator<Item = (N, O)>) -> Result<Self, Error>
    where
        N: Into<Arc<str>>,
        Opts: TryFrom<O>,
        <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
    {
        Self::with_options(peers, PoolOptions::default())
    }

    /// As [`new`](Self::new), with `options`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_options<N, O>(
        peers: impl IntoIterator<Item = (N, O)>,
        options: PoolOptions,
    ) -> Result<Self, Error>
    where
        N: Into<Arc<str>>,
        Opts: TryFrom<O>,
        <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
    {
        let endpoints = peers
            .into_iter()
            .map(|(name, opts)| {
                let name = name.into();
                match Opts::try_from(opts) {
                    Ok(opts) => Ok((name, Arc::new(Endpoint::new(opts, options.attempt_timeout)))),
                    Err(source) => Err(Error::Options {
                        peer: name,
                        source: Box::new(source),
                    }),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(Error::NoPeers);
        }
        let peers = Peers::new(endpoints)?;
        let balance = BalanceLayer::new(peers.clone())
            .classify(ByPhase)
            .eject(options.eject())
            // The caller's own deadline ends the wait.
            .all_down(AllDown::WaitUpTo(Duration::MAX))
            // The probe keeps its own time, and says more than that it was up.
            .probe(Prober, 2 * options.attempt_timeout)
            .layer(Connector {
                peers: peers.clone(),
            });
        Ok(Self {
            peers,
            balance,
            options,
            purger: Purger::default(),
        })
    }

    /// A pool over the peers of a balanced database of a config file, with its check interval and
    /// the defaults for the rest.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_config(database: &BalancedDatabase) -> Result<Self, Error> {
        Self::from_config_with(database, PoolOptions::default())
    }

    /// As [`from_config`](Self::from_config), with `options`, whose check interval gives way to
    /// the file's.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_config_with(
        database: &BalancedDatabase,
        options: PoolOptions,
    ) -> Result<Self, Error> {
        let peers = database
            .peers
            .iter()
            .map(|peer| {
                let name: Arc<str> = peer.alias.as_str().into();
                match opts(&peer.address) {
                    Ok(opts) => Ok((name, opts)),
                    Err(source) => Err(Error::Options {
                        peer: name,
                        source: Box::new(source),
                    }),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::with_options(peers, options.check_interval(database.check_interval))
    }

    /// A connection to a random peer that is up.
    ///
    /// If that one cannot give one, another is tried. If no peer is left to try, it waits until
    /// one recovers.
    ///
    /// # Errors
    ///
    /// [`Error::Checkout`], at the latest when the checkout's time limit is up, naming every peer
    /// that was tried; [`Error::Disconnected`] after [`disconnect`](Self::disconnect).
    ///
    /// Cancel-safe: a checkout that is dropped leaves nothing behind.
    pub async fn get_conn(&self) -> Result<PeerConn, Error> {
        let start = Instant::now();
        let deadline = start + self.options.checkout_timeout;
        let avoid = Arc::default();
        self.checkout(Checkout { deadline, avoid })
            .await
            .map_err(|source| match source.cause() {
                Some(AttemptError::Disconnected) => Error::Disconnected,
                _ => Error::Checkout {
                    waited: start.elapsed(),
                    source,
                },
            })
    }

    /// A connection, by the deadline.
    pub(crate) async fn checkout(
        &self,
        request: Checkout,
    ) -> Result<PeerConn, evenhand::Error<AttemptError>> {
        self.purger.ensure_runs(&self.peers);
        let deadline = request.deadline;
        let mut checkout = pin!(self.balance.clone().call(request));
        match timeout_at(deadline, checkout.as_mut()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(checkout.as_mut().abandon()),
        }
    }

    /// The time limits that it goes by.
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Each peer's state, in the order the peers were given.
    pub fn statuses(&self) -> Vec<Status> {
        self.peers.statuses()
    }

    /// How many peers are up.
    pub fn up(&self) -> usize {
        self.peers.up()
    }

    /// What happens to the peers from now on: ejections, probes, recoveries.
    pub fn subscribe(&self) -> Events {
        self.peers.subscribe()
    }

    /// Closes the pool: checkouts fail from now on, idle connections are closed, those in use when
    /// they are returned. Resolves when all are closed.
    ///
    /// # Errors
    ///
    /// [`Error::StillOpen`] if that takes longer than 5 s; it names the peers. Their connections
    /// are still closed when they are returned.
    pub async fn disconnect(self) -> Result<(), Error> {
        let mut closing = JoinSet::new();
        for peer in self.peers.iter() {
            peer.admission.close();
            let pool = peer.pool();
            closing.spawn(async move {
                let closed = timeout(DISCONNECT_LIMIT, pool.disconnect()).await;
                closed.is_err().then(|| peer.name().to_owned())
            });
        }
        let mut peers: Vec<String> = closing.join_all().await.into_iter().flatten().collect();
        if peers.is_empty() {
            return Ok(());
        }
        peers.sort();
        Err(Error::StillOpen {
            peers,
            limit: DISCONNECT_LIMIT,
        })
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("peers", &self.peers)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn opts(address: &Address) -> Result<Opts, mysql_async::UrlError> {
    match address {
        Address::Url(url) => Opts::from_url(url.expose()),
        Address::Parts {
            host,
            port,
            user,
            password,
            name,
            ..
        } => Ok(OptsBuilder::default()
            .ip_or_hostname(host.as_str())
            .tcp_port(*port)
            .user(user.as_deref())
            .pass(password.as_ref().map(|password| password.expose()))
            .db_name(name.as_deref())
            .into()),
        _ => Err(mysql_async::UrlError::Invalid),
    }
}
