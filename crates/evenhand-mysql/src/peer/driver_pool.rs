//! The driver's pool of one peer's connections. It keeps idle connections, and closes those that are
//! idle or alive for too long.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use mysql_async::{Conn, Metrics, Opts, OptsBuilder};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::home::with_home;

/// How long the connections of a purged pool may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// How often the driver is asked whether a pool is closed.
const CLOSE_POLL: Duration = Duration::from_millis(50);

pub(crate) struct DriverPool {
    opts: Mutex<Opts>,
    /// See [`home`](super::home).
    home: Option<String>,
    /// Whether the driver itself brings connections home in a reset.
    brings_home: AtomicBool,
    pool: Mutex<Counted>,
    /// That of `pool`, to be read without its lock.
    stay: AtomicU32,
    /// The metrics of purged pools that have had a connection since.
    purged: Mutex<Vec<Arc<Metrics>>>,
    /// Held during the first poll of a checkout, so that no two open the same last connection.
    first_poll: Mutex<()>,
}

/// A pool and its metrics.
struct Counted {
    pool: mysql_async::Pool,
    metrics: Arc<Metrics>,
    /// Those of a pool that this one replaced while its peer was up, and whose connections still count.
    before: Option<Arc<Metrics>>,
    /// See [`DriverPool::stay`].
    stay: u32,
}

impl Counted {
    fn new(opts: Opts, stay: u32) -> Self {
        let pool = mysql_async::Pool::new(opts);
        let metrics = pool.metrics();
        Self {
            pool,
            metrics,
            before: None,
            stay,
        }
    }
}

impl DriverPool {
    pub(crate) fn new(opts: Opts, home: Option<String>) -> Self {
        Self {
            pool: Mutex::new(Counted::new(opts.clone(), 0)),
            stay: AtomicU32::new(0),
            purged: Mutex::default(),
            first_poll: Mutex::new(()),
            opts: Mutex::new(opts),
            home,
            brings_home: AtomicBool::new(false),
        }
    }

    /// The statement that brings a session back to its schema.
    pub(crate) fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// From now on the driver itself brings connections home in a reset, which takes one more round trip. The
    /// first call replaces the pool; connections in use are closed when they are returned.
    pub(crate) fn bring_home(&self) {
        if self.home.is_some() && !self.brings_home.swap(true, Ordering::AcqRel) {
            self.replace(true, false);
        }
    }

    /// The number of idle connections, as far as the driver has counted.
    pub(crate) fn idle(&self) -> usize {
        self.count(|metrics| &metrics.connections_in_pool)
    }

    /// The number of connections that are open or being opened, without those of purged pools.
    pub(crate) fn open(&self) -> usize {
        let pool = self.lock();
        open(&pool.metrics) + pool.before.as_ref().map_or(0, open)
    }

    /// The same with those of purged pools, which are in use or about to be closed.
    pub(crate) fn open_in_all(&self) -> usize {
        let own = self.open();
        let mut purged = self.purged();
        purged.retain(|metrics| open(metrics) > 0);
        own + purged.iter().map(open).sum::<usize>()
    }

    /// The number of failures so far that only the driver saw: connections lost or cut short in use,
    /// or failed during their clean-up.
    pub(crate) fn failures(&self) -> usize {
        self.count(|metrics| &metrics.discarded_unestablished_connection)
            + self.count(|metrics| &metrics.discarded_error_during_cleanup)
    }

    fn count(&self, of: impl FnOnce(&Metrics) -> &AtomicUsize) -> usize {
        of(&self.lock().metrics).load(Ordering::Relaxed)
    }

    /// A checkout from the driver's pool, to be started with [`poll_first`](Self::poll_first).
    pub(crate) fn get_conn(&self) -> impl Future<Output = mysql_async::Result<Conn>> + use<> {
        self.checkout().1
    }

    /// The same, and the [stay](Self::stay) of the connection.
    pub(crate) fn checkout(
        &self,
    ) -> (u32, impl Future<Output = mysql_async::Result<Conn>> + use<>) {
        let pool = self.lock();
        (pool.stay, pool.pool.get_conn())
    }

    /// Polls a checkout for the first time if `may_start` allows it. That poll takes an idle connection
    /// or begins to open one, and no other first poll comes between it and `may_start`. Later polls
    /// only wait for the peer.
    pub(crate) async fn poll_first<F: Future>(
        &self,
        mut checkout: Pin<&mut F>,
        may_start: impl Fn() -> bool,
    ) -> Option<Poll<F::Output>> {
        poll_fn(|cx| {
            let _one_at_a_time = self
                .first_poll
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Poll::Ready(may_start().then(|| checkout.as_mut().poll(cx)))
        })
        .await
    }

    pub(crate) fn pool(&self) -> mysql_async::Pool {
        self.lock().pool.clone()
    }

    /// Closes the idle connections. Those in use continue, and are closed when they are returned.
    ///
    /// A fresh pool, which connects to nothing until it is asked, replaces the old one. The old one is
    /// disconnected with a time limit, as it would wait forever for a silent peer. Without a connection
    /// there is nothing to do.
    pub(crate) fn purge(&self) {
        if self.open() > 0 {
            self.replace(false, false);
        }
    }

    /// From now on connections are made to this address of the host. The others go as in a
    /// [`purge`](Self::purge).
    pub(crate) fn lead_to(&self, address: IpAddr) {
        let mut opts = self.opts();
        let is_move = opts.resolved_ips().is_some();
        *opts = at(opts.clone(), address);
        drop(opts);
        self.replace(false, is_move);
    }

    /// The number of the peer's stay at its address: another one after each move.
    pub(crate) fn stay(&self) -> u32 {
        self.stay.load(Ordering::Acquire)
    }

    /// Whether the peer has moved since this stay, so that connections of it go to an address that the peer has
    /// left. What becomes of them says nothing about the server where the peer is now.
    pub(crate) fn has_left(&self, stay: u32) -> bool {
        self.stay() != stay
    }

    /// Whether the connections of the old pool still count as the new one's, and whether the peer has moved.
    fn replace(&self, they_count: bool, is_move: bool) {
        // Held until the pool is in place, so that the options that came last are those of the pool that does.
        let opts = self.opts();
        let opts_now = match &self.home {
            Some(home) if self.brings_home.load(Ordering::Acquire) => with_home(&opts, home),
            _ => opts.clone(),
        };
        // Only changed under the lock of `opts`.
        let stay = self.stay().wrapping_add(u32::from(is_move));
        let fresh = Counted::new(opts_now, stay);
        let mut pool = self.lock();
        self.stay.store(stay, Ordering::Release);
        let old = std::mem::replace(&mut *pool, fresh);
        drop(opts);
        if they_count {
            pool.before = Some(old.metrics);
            drop(pool);
        } else {
            drop(pool);
            let mut purged = self.purged();
            purged.extend([Some(old.metrics), old.before].into_iter().flatten());
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(GOODBYE, close(old.pool)));
        }
    }

    fn purged(&self) -> MutexGuard<'_, Vec<Arc<Metrics>>> {
        self.purged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opts(&self) -> MutexGuard<'_, Opts> {
        self.opts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same options, for this address of the host. TLS verifies the host's name all the same.
pub(super) fn at(opts: Opts, address: IpAddr) -> Opts {
    OptsBuilder::from_opts(opts)
        .resolved_ips(Some(vec![address]))
        .into()
}

fn open(metrics: &Arc<Metrics>) -> usize {
    metrics.connection_count.load(Ordering::Relaxed)
}

/// Closes the driver's pool; resolves when all its connections are closed.
///
/// The driver misses the end of the last one if that is abandoned while it is being opened. So it is
/// asked again and again.
pub(crate) async fn close(pool: mysql_async::Pool) {
    while timeout(CLOSE_POLL, pool.clone().disconnect())
        .await
        .is_err()
    {}
}
