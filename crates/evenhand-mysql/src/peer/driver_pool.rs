//! The driver's pool of one peer's connections. It keeps the idle ones, and ends those that have
//! been idle or alive too long.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use mysql_async::{Conn, Metrics, Opts};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a closed pool's connections are given to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// How often the driver is asked whether a pool is closed.
const CLOSE_LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Driver {
    opts: Opts,
    pool: Mutex<Counted>,
    /// Passed by who takes a connection from the pool, so that no two open the same last one.
    door: Mutex<()>,
}

/// A pool, and what it counts.
struct Counted {
    pool: mysql_async::Pool,
    metrics: Arc<Metrics>,
}

impl Counted {
    fn new(opts: Opts) -> Self {
        let pool = mysql_async::Pool::new(opts);
        let metrics = pool.metrics();
        Self { pool, metrics }
    }
}

impl Driver {
    pub(crate) fn new(opts: Opts) -> Self {
        Self {
            pool: Mutex::new(Counted::new(opts.clone())),
            door: Mutex::new(()),
            opts,
        }
    }

    /// How many idle connections there are, as far as can be told.
    pub(crate) fn idle(&self) -> usize {
        self.count(|metrics| &metrics.connections_in_pool)
    }

    /// How many connections are open or being opened, but for those of a pool that was purged.
    pub(crate) fn open(&self) -> usize {
        self.count(|metrics| &metrics.connection_count)
    }

    /// How many connections came to grief so far where only the driver saw it: lost or cut short
    /// in use, or failed while they were cleaned up.
    pub(crate) fn losses(&self) -> usize {
        self.count(|metrics| &metrics.discarded_unestablished_connection)
            + self.count(|metrics| &metrics.discarded_error_during_cleanup)
    }

    fn count(&self, of: impl FnOnce(&Metrics) -> &AtomicUsize) -> usize {
        of(&self.lock().metrics).load(Ordering::Relaxed)
    }

    /// What gets a connection, to [`begin`](Self::begin) with.
    pub(crate) fn get_conn(&self) -> impl Future<Output = mysql_async::Result<Conn>> + use<> {
        self.lock().pool.get_conn()
    }

    /// Polls what gets a connection from the driver's pool for the first time, if it `may`: that
    /// takes an idle one or begins to open one, and what was true before is true until then. After
    /// that it waits for the peer alone.
    pub(crate) async fn begin<F: Future>(
        &self,
        mut getting: Pin<&mut F>,
        may: impl Fn() -> bool,
    ) -> Option<Poll<F::Output>> {
        poll_fn(|cx| {
            let _one_at_a_time = self.door.lock().unwrap_or_else(PoisonError::into_inner);
            Poll::Ready(may().then(|| getting.as_mut().poll(cx)))
        })
        .await
    }

    pub(crate) fn pool(&self) -> mysql_async::Pool {
        self.lock().pool.clone()
    }

    /// Closes the idle connections. Those in use go on, and are closed when they are returned.
    ///
    /// The pool is replaced by a fresh one, which connects to nothing until it is asked; the old
    /// one is told to disconnect with a time limit, as it would wait for ever for a silent peer.
    pub(crate) fn purge(&self) {
        let fresh = Counted::new(self.opts.clone());
        let old = std::mem::replace(&mut *self.lock(), fresh);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(GOODBYE, close(old.pool)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the driver's pool: resolves when all its connections are closed.
///
/// The driver overlooks the end of the last one if that was being opened and is given up while it
/// disconnects. Whenever it is asked again it looks again.
pub(crate) async fn close(pool: mysql_async::Pool) {
    while timeout(CLOSE_LOOK, pool.clone().disconnect())
        .await
        .is_err()
    {}
}
