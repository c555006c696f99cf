//! A pool of connections over several equal peers.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{Events, Peers, State, Status};
use mysql_async::{Opts, TxOpts};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::admission::{Closed, Places};
use crate::background::Background;
use crate::balancer::Balancer;
use crate::conn::PeerConn;
use crate::connector::Checkout;
use crate::driver::close;
use crate::endpoint::{Endpoint, Peer};
use crate::error::{AttemptError, Error};
use crate::inspect::inspect;
use crate::keep::keep_min_open;
use crate::limit::by;
use crate::options::PoolOptions;
use crate::peers::PeersHandle;
use crate::purge::purge_what_leaves;
use crate::report::PeerReport;
use crate::transaction::Transaction;
use crate::usage::Usage;

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
    balancer: Arc<Balancer>,
    options: PoolOptions,
    /// Places for connections to all peers together, if they are limited.
    in_all: Option<Arc<Places>>,
    background: Background,
}

impl Pool {
    /// A pool over the named peers, with the default [`PoolOptions`]. Connects to nothing yet.
    ///
    /// A peer is given by whatever makes a [`mysql_async::Opts`]: a URL, an
    /// [`OptsBuilder`](mysql_async::OptsBuilder) or an `Opts`. Its pool options hold for each peer: at most `pool_max`
    /// connections to each are out at a time (100 unless set), and once the pool is used `pool_min`
    /// are kept open to each that is up (10 unless set).
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
            .map(|(name, opts)| Endpoint::open(name.into(), opts, &options))
            .collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(Error::NoPeers);
        }
        let peers = Peers::new(endpoints)?;
        let balancer = Balancer::new(&peers, &options);
        Ok(Self {
            peers,
            balancer: Arc::new(balancer),
            in_all: options
                .max_connections
                .map(|limit| Arc::new(Places::new(limit))),
            options,
            background: Background::default(),
        })
    }

    /// A connection to a random peer that is up.
    ///
    /// If that one cannot give one, another is tried. If no peer is left to try, it waits until
    /// one recovers. An idle connection that the peer has closed meanwhile is dropped, and the next
    /// one taken.
    ///
    /// # Errors
    ///
    /// [`Error::Checkout`], at the latest when the checkout's time limit is up, naming every peer
    /// that was tried; [`Error::Full`] if all connections that may be out were in use until then;
    /// [`Error::Disconnected`] after [`disconnect`](Self::disconnect).
    ///
    /// Cancel-safe: a checkout that is dropped leaves nothing behind.
    pub async fn get_conn(&self) -> Result<PeerConn, Error> {
        let began = Instant::now();
        self.checkout(Checkout {
            began,
            deadline: began + self.options.checkout_timeout,
            avoid: None,
        })
        .await
    }

    /// A connection, by the deadline.
    pub(crate) async fn checkout(&self, request: Checkout) -> Result<PeerConn, Error> {
        self.background.ensure_runs(|| {
            let (events, peers) = (self.peers.subscribe(), self.peers.clone());
            let purge = purge_what_leaves(events, peers.clone());
            let keep = keep_min_open(peers, self.in_all.clone());
            async {
                tokio::join!(purge, keep);
            }
        });
        let (began, deadline) = (request.began, request.deadline);
        // Before the peer is picked, so that nobody waits for it with a peer in hand.
        let in_all = match self.in_all.as_ref().map(|in_all| in_all.take()) {
            None => None,
            Some(taking) => match by(|_| deadline, pin!(taking)).await {
                Ok(Ok(place)) => Some(place),
                Ok(Err(Closed)) => return Err(Error::Disconnected),
                Err(_) => return Err(self.full(began, None)),
            },
        };
        match self.balancer.checkout(request).await {
            Ok(mut conn) => {
                conn.hold_in_all(in_all);
                Ok(conn)
            }
            Err(source) => Err(match source.cause() {
                Some(AttemptError::Disconnected) => Error::Disconnected,
                cause if self.is_full(cause) => self.full(began, Some(source)),
                _ => Error::Checkout {
                    waited: began.elapsed(),
                    source,
                },
            }),
        }
    }

    /// Whether a checkout that failed for this cause did so for want of a place.
    fn is_full(&self, cause: Option<&AttemptError>) -> bool {
        match cause {
            Some(AttemptError::NoFreeConnection(_) | AttemptError::Busy(_)) => true,
            Some(_) => false,
            // Its time was up while it waited for one, and no other peer had one either.
            None => {
                let up = |peer: &Peer| peer.state() == State::Up;
                let mut up = self.peers.iter().filter(up).peekable();
                up.peek().is_some() && !up.any(|peer| peer.has_spare())
            }
        }
    }

    fn full(&self, began: Instant, source: Option<evenhand::Error<AttemptError>>) -> Error {
        Error::Full {
            waited: began.elapsed(),
            usage: self.usage(),
            source: source.map(Box::new),
        }
    }

    /// Starts a transaction on a connection of its own.
    ///
    /// A peer whose connection turns out to be dead, or that refuses to start one, is left for
    /// another: nothing has been done yet. From then on it stays on its peer.
    ///
    /// # Errors
    ///
    /// Those of [`get_conn`](Self::get_conn) and the driver's; [`Error::Work`] if it could not be
    /// started on any peer that was tried within the checkout's time limit. One of ours stands in
    /// [`mysql_async::Error::Other`].
    ///
    /// If it is dropped before it resolves, nothing is left behind.
    pub async fn start_transaction(
        &self,
        options: TxOpts,
    ) -> mysql_async::Result<Transaction<'static>> {
        let deadline = Instant::now() + self.options.checkout_timeout;
        let start = |conn| Transaction::start_on_own(conn, options.clone());
        self.run_until(deadline, start).await
    }

    /// The time limits that it goes by.
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Each peer's state, in the order the peers were given.
    pub fn statuses(&self) -> Vec<Status> {
        self.peers.statuses()
    }

    /// How many connections are in use, of how many.
    pub fn usage(&self) -> Usage {
        let peers = self.peers().usage();
        let in_use = peers.iter().map(|peer| peer.in_use).sum();
        let taken = self.in_all.as_ref().map_or(0, |places| places.taken());
        Usage {
            in_use,
            limit: self.in_all.as_ref().map(|places| places.limit()),
            checking_out: taken.saturating_sub(in_use),
            waiting: self.in_all.as_ref().map_or(0, |places| places.waiting()),
            peers,
        }
    }

    /// The peers as operators hold them: to drain, eject, restore, add and remove.
    pub fn peers(&self) -> PeersHandle {
        PeersHandle {
            peers: self.peers.clone(),
            options: self.options.clone(),
        }
    }

    /// Asks every peer at once, and for at most `limit`, what it is and whether it is online: on a
    /// connection of its own each, past the pool's limits, and whatever state the balancer has the
    /// peer in. What is found changes none of that.
    ///
    /// Online is who is there, lets this client in and passes the pool's
    /// [probe](crate::PoolOptions::probe).
    ///
    /// Cancel-safe.
    pub async fn check(&self, limit: Duration) -> Vec<PeerReport> {
        let mut asked = JoinSet::new();
        for (nth, peer) in self.peers.iter().enumerate() {
            asked.spawn(async move { (nth, inspect(&peer, limit).await) });
        }
        let mut reports = asked.join_all().await;
        reports.sort_by_key(|(nth, _)| *nth);
        reports.into_iter().map(|(_, report)| report).collect()
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
        self.background.stop();
        if let Some(in_all) = &self.in_all {
            in_all.close();
        }
        let mut closing = JoinSet::new();
        for peer in self.peers.iter() {
            peer.places.close();
            let pool = peer.driver.pool();
            closing.spawn(async move {
                let closed = timeout(DISCONNECT_LIMIT, close(pool)).await;
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
