//! The pool. Knows everything below it (peers, connections, reports), not the databases of a config.
//!
//! A checkout, from top to bottom:
//! 1. Permit: one of the pool's, if [`PoolOptions::max_connections`] is set ([`Pool::checkout`]).
//! 2. Pick: a peer that is up, and another one if that fails (`balancer`).
//! 3. Permit: one of that peer's, unless another peer has room (`checkout`).
//! 4. Connection: an idle one, or a login within the connect timeout ([`Endpoint::connect`]).
//! 5. Guard: [`PeerConn`], which holds the permits until its connection is recycled (`conn`).

pub(crate) mod peers;

mod background;
mod balancer;
mod checkout;
mod constructors;
mod direct;
#[cfg(feature = "discover")]
mod follow;
#[cfg(feature = "dns")]
pub(crate) mod found;
mod idempotent;
mod members;
mod prober;
mod seeds;
mod spans;
mod transaction_retry;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenhand::{Events, Peers, State, Status};
use mysql_async::TxOpts;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::conn::PeerConn;
use crate::conn::transaction::Transaction;
use crate::error::{AttemptError, CheckoutError, Error};
use crate::observe::PoolMetrics;
use crate::options::PoolOptions;
use crate::peer::driver_pool::close;
use crate::peer::permits::{Closed, Permits};
use crate::peer::{Endpoint, Peer};
use crate::report::PeerReport;
use crate::report::inspect::inspect;
use crate::time::deadline::timeout_lazy;
use crate::usage::{PeerUsage, Usage};
use background::Background;
use background::look_up_names::look_up_names;
use background::min_connections::keep_min_connections;
use background::purge_idle::{Made, purge_idle};
use background::watch::watch;
use balancer::Balancer;
use checkout::CheckoutRequest;
use peers::PeersHandle;
use seeds::Seeds;
use spans::in_span;

/// The time limit of [`Pool::disconnect`].
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to several equal MySQL peers, a near drop-in for [`mysql_async::Pool`].
///
/// Each checkout goes to a random peer that is up. A peer that cannot be connected to, or does not
/// answer in time, is ejected, and the checkout moves to another. Ejected peers are probed in the
/// background by a login and a statement, and come back when they pass. Clones share one pool.
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
/// A pool belongs to the tokio runtime in which it is first used, as a [`mysql_async::Pool`] does. If a
/// checkout fails in another one, its error says so.
#[derive(Clone)]
pub struct Pool {
    peers: Peers<Arc<Endpoint>>,
    balancer: Arc<Balancer>,
    options: PoolOptions,
    /// Permits for connections to all peers together, if they are limited.
    permits: Option<Arc<Permits>>,
    metrics: PoolMetrics,
    /// The listed peers, if the pool follows its cluster.
    seeds: Option<Arc<Seeds>>,
    /// The names whose peers are the pool's.
    #[cfg(feature = "dns")]
    found: Option<found::Found>,
    background: Background,
    made: Made,
}

impl Pool {
    /// A connection to a random peer that is up, or to the one that [`PoolOptions::pick`] chooses.
    ///
    /// If that peer cannot give one, another is tried. If no peer is left to try, it waits until one
    /// recovers, unless [`PoolOptions::all_down`] says otherwise. An idle connection that its peer has closed is dropped, and the next one used.
    ///
    /// # Errors
    ///
    /// - [`mysql_async::Error::Server`] if a server's refusal decided the checkout. Its message names the
    ///   peer.
    /// - [`mysql_async::Error::Io`] with [`Error::Checkout`] if no peer gave a connection within the
    ///   [checkout timeout](PoolOptions::checkout_timeout).
    /// - [`mysql_async::Error::Other`] with [`Error::Full`] if all connections that the limits allow were
    ///   in use until then.
    /// - [`DriverError::PoolDisconnected`](mysql_async::DriverError::PoolDisconnected) after
    ///   [`disconnect`](Self::disconnect).
    ///
    /// [`Error::find`] finds this crate's error in the driver's.
    ///
    /// # Cancel safety
    ///
    /// A checkout that is dropped leaves nothing behind.
    pub async fn get_conn(&self) -> mysql_async::Result<PeerConn> {
        let began = Instant::now();
        let request = CheckoutRequest {
            began,
            deadline: began + self.options.get_checkout_timeout(),
            is_retry: false,
            failures: None,
        };
        in_span!(
            spans::checkout(&self.options),
            self.checkout(request),
            spans::note_checkout
        )
    }

    /// A connection, by the request's deadline. Generic, as each conversion of the result would move the
    /// connection.
    async fn checkout<E: From<Error>>(&self, request: CheckoutRequest) -> Result<PeerConn, E> {
        let is_open = self.background.ensure_runs(|| {
            let (events, peers) = (self.peers.subscribe(), self.peers.clone());
            let purge = purge_idle(events, peers.clone(), self.made.clone());
            let watch = watch(peers.clone(), self.options.get_health_check());
            let keep = keep_min_connections(peers.clone(), self.permits.clone());
            let interval = self.options.get_name_lookup_interval();
            let names = look_up_names(peers.clone(), interval);
            let members = members::follow(self.peers(), self.options.get_discover());
            #[cfg(feature = "dns")]
            let found = found::follow(self.peers(), self.found.clone());
            #[cfg(not(feature = "dns"))]
            let found = std::future::ready(());
            let permits = self.permits.clone();
            let usage = {
                let peers = peers.clone();
                move || usage(&peers, permits.as_deref())
            };
            let record = self.metrics.record(&peers, usage);
            async {
                tokio::join!(purge, watch, keep, names, members, found, record);
            }
        });
        let (began, deadline) = (request.began, request.deadline);
        let metrics = self.metrics.checkout(began);
        if !is_open {
            return Err(metrics.failed(Error::Disconnected).into());
        }
        let begin_to_wait = |_| {
            self.metrics.waits();
            deadline
        };
        // Before the peer is picked, so that no picked peer has to wait for it.
        let permit = match self.permits.as_ref().map(|permits| permits.acquire()) {
            None => None,
            Some(acquire) => match timeout_lazy(begin_to_wait, pin!(acquire)).await {
                Ok(Ok(permit)) => Some(permit),
                Ok(Err(Closed)) => return Err(metrics.failed(Error::Disconnected).into()),
                Err(_) => return Err(metrics.failed(self.full(began, None)).into()),
            },
        };
        match self.balancer.checkout(request).await {
            Ok(mut conn) => {
                conn.hold(permit);
                metrics.succeeded();
                Ok(conn)
            }
            Err(tried) => Err(E::from(metrics.failed(match tried.cause() {
                Some(AttemptError::Disconnected) => Error::Disconnected,
                cause if self.is_full(cause) => self.full(began, Some(tried)),
                _ => {
                    let waited = began.elapsed();
                    let other_runtime = self.background.is_elsewhere();
                    CheckoutError {
                        waited,
                        tried,
                        other_runtime,
                    }
                    .into()
                }
            }))),
        }
    }

    /// Whether a checkout failed for want of a permit.
    fn is_full(&self, cause: Option<&AttemptError>) -> bool {
        match cause {
            Some(AttemptError::NoFreeConnection(_) | AttemptError::Busy(_)) => true,
            Some(_) => false,
            // It ran out of time while it waited for one, and no other peer had one either.
            None => {
                let up = |peer: &Peer| peer.state() == State::Up;
                let mut up = self.peers.iter().filter(up).peekable();
                up.peek().is_some() && !up.any(|peer| peer.has_room())
            }
        }
    }

    fn full(&self, began: Instant, tried: Option<evenhand::Error<AttemptError>>) -> Error {
        Error::Full {
            waited: began.elapsed(),
            usage: self.usage(),
            tried: tried.map(Box::new),
        }
    }

    /// Starts a transaction on a connection that it owns. A peer whose connection is dead, or that
    /// refuses to start a transaction, is left for another. From then on the transaction stays on its
    /// peer.
    ///
    /// # Errors
    ///
    /// The driver's, and those of [`get_conn`](Self::get_conn); [`mysql_async::Error::Io`] with
    /// [`Error::Work`] if no peer could start it within the checkout timeout.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it resolves, nothing is left behind.
    pub async fn start_transaction(
        &self,
        options: TxOpts,
    ) -> mysql_async::Result<Transaction<'static>> {
        let deadline = Instant::now() + self.options.get_checkout_timeout();
        let start = |conn| Transaction::start(conn, options.clone());
        // It kills no server, so it may go to all of them.
        self.run_until("start_transaction", deadline, usize::MAX, start)
            .await
    }

    /// The pool's [name](PoolOptions::name).
    pub fn name(&self) -> Arc<str> {
        self.options.get_name()
    }

    /// The pool's settings.
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// The status of each peer, in the order in which they were added: as [`PeersHandle::statuses`].
    pub fn statuses(&self) -> Vec<Status> {
        self.peers.statuses()
    }

    /// How many connections are in use, and the limits.
    pub fn usage(&self) -> Usage {
        usage(&self.peers, self.permits.as_deref())
    }

    /// A handle for operators: drain, eject, restore, add and remove peers.
    pub fn peers(&self) -> PeersHandle {
        PeersHandle {
            peers: self.peers.clone(),
            options: self.options.clone(),
            seeds: self.seeds.clone(),
            made: self.made.clone(),
        }
    }

    /// Reports for each peer what it is and whether it is online. All are asked at once, each for at most
    /// `limit`, on a separate connection outside the pool's limits, whatever their state. A peer is
    /// online if it can be reached, accepts this client's login, and passes the pool's
    /// [health check](crate::HealthCheck).
    ///
    /// The report ejects no peer and brings none back; that is what health checks do. The order is that
    /// in which the peers were added.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connections.
    pub async fn check(&self, limit: Duration) -> Vec<PeerReport> {
        let peers = self.peers.iter();
        let peers = peers.map(|peer| (peer.shared_name(), (*peer).clone()));
        #[cfg_attr(not(feature = "dns"), expect(unused_mut, reason = "no other is found"))]
        let (mut peers, mut failed): (Vec<_>, Vec<_>) = (peers.collect(), Vec::new());
        #[cfg(feature = "dns")]
        if let Some(found) = &self.found {
            let names = peers.iter().map(|(name, _)| name.clone()).collect();
            let (others, missing) = found.look_up(&self.options, limit, &names).await;
            peers.extend(others);
            failed.extend(missing);
        }
        let mut asked = JoinSet::new();
        for (nth, (name, peer)) in peers.into_iter().enumerate() {
            asked.spawn(async move { (nth, inspect(name, &peer, limit).await) });
        }
        let mut reports = asked.join_all().await;
        reports.sort_by_key(|(nth, _)| *nth);
        let mut reports: Vec<_> = reports.into_iter().map(|(_, report)| report).collect();
        reports.append(&mut failed);
        reports
    }

    /// The number of peers that are up: as [`PeersHandle::up_count`].
    pub fn up_count(&self) -> usize {
        self.peers.up_count()
    }

    /// A stream of the peers' events from now on: as [`PeersHandle::subscribe`].
    pub fn subscribe(&self) -> Events {
        self.peers.subscribe()
    }

    /// Closes the pool. Checkouts fail from now on; idle connections are closed now, and those in use
    /// when they are returned. Resolves when all are closed.
    ///
    /// # Errors
    ///
    /// [`Error::StillOpen`] in [`mysql_async::Error::Other`], with the names of the peers, if that takes
    /// longer than 5 s. Their connections are still closed when they are returned.
    ///
    /// # Cancel safety
    ///
    /// Once polled, dropping the future only ends the wait.
    pub async fn disconnect(self) -> mysql_async::Result<()> {
        Ok(self.close().await?)
    }

    pub(crate) async fn close(self) -> Result<(), Error> {
        self.background.stop();
        if let Some(permits) = &self.permits {
            permits.close();
        }
        let mut closing = JoinSet::new();
        for peer in self.peers.iter() {
            peer.permits.close();
            let pool = peer.driver.pool();
            closing.spawn(async move {
                let closed = timeout(DISCONNECT_TIMEOUT, close(pool)).await;
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
            limit: DISCONNECT_TIMEOUT,
        })
    }
}

fn usage(peers: &Peers<Arc<Endpoint>>, permits: Option<&Permits>) -> Usage {
    let peers: Vec<PeerUsage> = peers.iter().map(|peer| peer.usage(&peer)).collect();
    let in_use = peers.iter().map(|peer| peer.in_use).sum();
    let held = permits.map_or(0, Permits::held);
    Usage {
        in_use,
        limit: permits.map(Permits::limit),
        checking_out: held.saturating_sub(in_use),
        waiting: permits.map_or(0, Permits::waiting),
        peers,
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name())
            .field("peers", &self.peers)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
