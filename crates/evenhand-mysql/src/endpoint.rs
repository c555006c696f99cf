//! One peer: where it is, and this client's connections to it.
//!
//! A `mysql_async::Pool` keeps the idle connections. Who may have one is decided above it, by a
//! semaphore: the inner pool's own queue can lose a wake-up when a waiter is dropped, so its limit
//! is set higher than is ever needed.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenhand::{Ticket, Verdict};
use mysql_async::{Conn, Opts, OptsBuilder, PoolConstraints, PoolOpts};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::check::check;
use crate::error::AttemptError;

/// A silent connection is looked after by the kernel from this on, unless the options say
/// otherwise.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Checks of a peer that is up are at least this far apart.
const CHECK_SPACING: Duration = Duration::from_secs(1);

/// So many logins to one peer are under way at a time.
const LOGINS: usize = 16;

/// How long a closed pool's connections are given to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a peer is to the balancer.
pub(crate) type Peer = evenhand::Peer<Arc<Endpoint>>;

pub(crate) struct Endpoint {
    opts: Opts,
    /// Connections are reset when they are returned.
    reset: bool,
    /// At most so many connections are out at a time.
    limit: usize,
    pub(crate) admission: Arc<Semaphore>,
    pool: Mutex<mysql_async::Pool>,
    /// One probe, one check or one clean-up may take this long.
    pub(crate) attempt_timeout: Duration,
    checking: AtomicBool,
    checked: Mutex<Option<Instant>>,
    /// Turns at logging in. Few may be under way at a time, so that a peer that comes back is not
    /// met by a herd whose logins all take too long because they are so many.
    pub(crate) logins: Arc<Semaphore>,
    /// When the peer was last heard, in milliseconds since `start`.
    heard: AtomicU64,
    start: Instant,
}

impl Endpoint {
    pub(crate) fn new(opts: Opts, attempt_timeout: Duration) -> Self {
        let pool_opts = opts.pool_opts().clone();
        let limit = pool_opts.constraints().max();
        let reset = pool_opts.reset_connection();
        let opts = tame(opts, &pool_opts);
        Self {
            pool: Mutex::new(mysql_async::Pool::new(opts.clone())),
            opts,
            reset,
            limit,
            admission: Arc::new(Semaphore::new(limit)),
            attempt_timeout,
            checking: AtomicBool::new(false),
            checked: Mutex::new(None),
            logins: Arc::new(Semaphore::new(LOGINS)),
            heard: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// Whether a connection could be had without waiting for another's to end.
    pub(crate) fn has_spare(&self) -> bool {
        self.admission.available_permits() > 0
            && (self.has_idle() || self.logins.available_permits() > 0)
    }

    /// Whether there is an idle connection, as far as can be told.
    pub(crate) fn has_idle(&self) -> bool {
        self.pool()
            .metrics()
            .connections_in_pool
            .load(Ordering::Relaxed)
            > 0
    }

    /// A connection, idle or new, in the time that one attempt has, and by the deadline.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Conn, AttemptError> {
        let start = Instant::now();
        let own_end = start + self.attempt_timeout;
        match timeout_at(own_end.min(deadline), self.pool().get_conn()).await {
            Ok(Ok(conn)) => {
                self.note_heard();
                Ok(conn)
            }
            Ok(Err(error)) => Err(AttemptError::Connect(error)),
            // Cut short by the caller: it says nothing of the peer.
            Err(_) if deadline < own_end => Err(AttemptError::OutOfTime),
            Err(_) if self.was_heard_since(start) => Err(AttemptError::Slow(self.attempt_timeout)),
            Err(_) => Err(AttemptError::TimedOut(self.attempt_timeout)),
        }
    }

    /// The peer has answered something.
    pub(crate) fn note_heard(&self) {
        self.heard
            .store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn was_heard_since(&self, moment: Instant) -> bool {
        let since = moment.saturating_duration_since(self.start).as_millis() as u64;
        self.heard.load(Ordering::Relaxed) > since
    }

    pub(crate) fn opts(&self) -> &Opts {
        &self.opts
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn resets(&self) -> bool {
        self.reset
    }

    pub(crate) fn pool(&self) -> mysql_async::Pool {
        self.pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Closes the idle connections. Those in use go on, and are closed when they are returned.
    ///
    /// The pool is replaced by a fresh one, which connects to nothing until it is asked; the old
    /// one is told to disconnect with a time limit, as it would wait for ever for a silent peer.
    pub(crate) fn purge(&self) {
        let fresh = mysql_async::Pool::new(self.opts.clone());
        let old = std::mem::replace(
            &mut *self.pool.lock().unwrap_or_else(PoisonError::into_inner),
            fresh,
        );
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(GOODBYE, old.disconnect()));
        }
    }

    /// Checks the peer now, in the background, and tells the ticket what came of it: after an
    /// outcome that could be a slow statement as well as a dead peer.
    ///
    /// One check runs at a time, and one that has just succeeded stands for a while.
    pub(crate) fn check_now(self: &Arc<Self>, ticket: &Ticket<Arc<Self>>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if ticket.is_stale() || self.was_just_checked() {
            return;
        }
        let Some(turn) = CheckTurn::take(self.clone()) else {
            return;
        };
        let ticket = ticket.clone();
        runtime.spawn(async move {
            let verdict = match check(&turn.0.opts, turn.0.attempt_timeout).await {
                Ok(()) => {
                    turn.0.note_checked();
                    Verdict::healthy()
                }
                Err(error) => crate::classify::attempt(&error),
            };
            ticket.report(verdict);
        });
    }

    fn was_just_checked(&self) -> bool {
        let checked = *self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.is_some_and(|checked| checked.elapsed() < CHECK_SPACING)
    }

    fn note_checked(&self) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// The right to check, given back on drop so that a check that is cut short blocks no other.
struct CheckTurn(Arc<Endpoint>);

impl CheckTurn {
    fn take(endpoint: Arc<Endpoint>) -> Option<Self> {
        let taken = endpoint.checking.swap(true, Ordering::AcqRel);
        (!taken).then_some(Self(endpoint))
    }
}

impl Drop for CheckTurn {
    fn drop(&mut self) {
        self.0.checking.store(false, Ordering::Release);
    }
}

/// The options as this crate needs them.
fn tame(opts: Opts, pool_opts: &PoolOpts) -> Opts {
    let keepalive = opts.tcp_keepalive().or(Some(KEEPALIVE));
    let constraints = pool_opts.constraints();
    let above = constraints.max().saturating_mul(2).saturating_add(16);
    // Cannot fail: the upper limit only grew.
    let constraints = PoolConstraints::new(constraints.min(), above).unwrap_or(constraints);
    let pool_opts = pool_opts
        .clone()
        .with_constraints(constraints)
        // Reset is this crate's own, with a time limit; the inner pool's has none.
        .with_reset_connection(false);
    OptsBuilder::from_opts(opts)
        .pool_opts(pool_opts)
        .tcp_keepalive(keepalive)
        // A peer is the peer that was named, never a local socket that it tells of.
        .prefer_socket(false)
        .into()
}

/// Shows where the peer is; the options may hold a password.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.opts.ip_or_hostname())
            .field("port", &self.opts.tcp_port())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::new(Opts::from_url(url).unwrap(), Duration::from_secs(2))
    }

    #[test]
    fn a_peer_is_never_replaced_by_a_local_socket() {
        assert!(!endpoint("mysql://h/d").opts.prefer_socket());
    }

    #[test]
    fn the_inner_pools_queue_is_out_of_reach() {
        let endpoint = endpoint("mysql://h/d?pool_max=7&pool_min=3");
        assert_eq!(
            (endpoint.limit, endpoint.admission.available_permits()),
            (7, 7)
        );
        let inner = endpoint.opts.pool_opts();
        assert!(inner.constraints().max() > 2 * endpoint.limit);
        assert_eq!(inner.constraints().min(), 3);
        assert!(!inner.reset_connection());
        assert!(endpoint.reset);
    }

    #[test]
    fn silent_connections_are_kept_alive_unless_told_otherwise() {
        assert_eq!(
            endpoint("mysql://h/d").opts.tcp_keepalive(),
            Some(KEEPALIVE)
        );
        let own = endpoint("mysql://h/d?tcp_keepalive=5000")
            .opts
            .tcp_keepalive();
        assert_eq!(own, Some(Duration::from_secs(5)));
    }

    #[test]
    fn no_password_shows() {
        let shown = format!("{:?}", endpoint("mysql://u:hunter2@h/d"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
