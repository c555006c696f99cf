//! One peer: where it is, and this client's connections to it.
//!
//! Who may have one of the [driver's](crate::driver) is decided above it (see `admission`).

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use evenhand::{PeerVerdict, Ticket, Verdict};
use mysql_async::{Conn, Opts};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::admission::Places;
use crate::check::Check;
use crate::driver::Driver;
use crate::error::{AttemptError, Error};
use crate::limit::by;
use crate::lost::Silence;
use crate::options::PoolOptions;
use crate::tame::{counted, tame};
use crate::usage::PeerUsage;

/// Checks of a peer that is up are at least this far apart.
const CHECK_SPACING: Duration = Duration::from_secs(1);

/// So many logins to one peer are under way at a time.
const LOGINS: usize = 16;

/// How often, and then at what intervals, who waits for room looks for it.
const YIELDS: u32 = 16;
const LOOK: Duration = Duration::from_millis(1);
/// After so many looks a connection that may be coming back is waited for no longer: a few
/// milliseconds, about a login.
const PATIENCE: u32 = YIELDS + 4;

/// What a peer is to the balancer.
pub(crate) type Peer = evenhand::Peer<Arc<Endpoint>>;

pub(crate) struct Endpoint {
    opts: Opts,
    /// The connections themselves; those that are opened there are counted in `opened`.
    pub(crate) driver: Driver,
    opened: Arc<AtomicU64>,
    /// Connections are reset when they are returned.
    reset: bool,
    /// Places for connections that are out.
    pub(crate) places: Places,
    /// How many connections are kept open while the peer is up.
    min: usize,
    /// One login or one clean-up may take this long.
    pub(crate) attempt_timeout: Duration,
    /// Whether it is ready for work, and what its errors say.
    pub(crate) check: Check,
    /// Whether its checks find it silent.
    pub(crate) silence: Silence,
    /// Operations that wait for it end when it is lost.
    pub(crate) end_on_lost_peer: bool,
    checking: AtomicBool,
    checked: Mutex<Option<Instant>>,
    /// Turns at logging in. Few may be under way at a time, so that a peer that comes back is not
    /// met by a herd whose logins all take too long because they are so many.
    pub(crate) logins: Places,
    /// Whether somebody looks for connections that the driver lost; see `one_off`.
    pub(crate) watched: AtomicBool,
    /// When the peer was last heard, in milliseconds since `start`.
    heard: AtomicU64,
    /// When a one-off last ended, likewise.
    one_off: AtomicU64,
    start: Instant,
}

impl Endpoint {
    pub(crate) fn new(opts: Opts, options: &PoolOptions) -> Self {
        let pool_opts = opts.pool_opts();
        let (constraints, reset) = (pool_opts.constraints(), pool_opts.reset_connection());
        let opts = tame(opts, options);
        let opened = Arc::<AtomicU64>::default();
        Self {
            driver: Driver::new(counted(&opts, opened.clone())),
            opts,
            opened,
            reset,
            places: Places::new(constraints.max()),
            min: constraints.min(),
            attempt_timeout: options.attempt_timeout,
            check: options.check(),
            silence: Silence::default(),
            end_on_lost_peer: options.watch.end_on_lost_peer,
            checking: AtomicBool::new(false),
            checked: Mutex::new(None),
            logins: Places::new(LOGINS),
            watched: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            one_off: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// An endpoint and its name, from whatever makes options.
    pub(crate) fn open<O>(
        name: Arc<str>,
        opts: O,
        options: &PoolOptions,
    ) -> Result<(Arc<str>, Arc<Self>), Error>
    where
        Opts: TryFrom<O>,
        <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
    {
        let source: Box<dyn std::error::Error + Send + Sync> = match Opts::try_from(opts) {
            // The driver would look it up as one name.
            Ok(opts) if opts.ip_or_hostname().contains(',') => {
                "several hosts for one peer: give each a name, or use `Pool::from_url`".into()
            }
            Ok(opts) => return Ok((name, Arc::new(Self::new(opts, options)))),
            Err(source) => Box::new(source),
        };
        Err(Error::Options { peer: name, source })
    }

    /// How it is reached, past the pool.
    pub(crate) fn opts(&self) -> &Opts {
        &self.opts
    }

    /// Whether a connection could be had without waiting for another's to end.
    pub(crate) fn has_spare(&self) -> bool {
        self.places.free() > 0 && (self.has_idle() || self.logins.free() > 0)
    }

    /// Whether there is an idle connection, as far as can be told.
    pub(crate) fn has_idle(&self) -> bool {
        self.driver.idle() > 0
    }

    /// How many connections are missing to what is to be kept open.
    pub(crate) fn missing(&self) -> usize {
        self.min.saturating_sub(self.driver.open())
    }

    /// How much of the peer is in use.
    pub(crate) fn usage(&self, peer: &Peer) -> PeerUsage {
        PeerUsage {
            peer: peer.shared_name(),
            state: peer.state(),
            in_use: self.places.taken(),
            limit: self.places.limit(),
            idle: self.driver.idle(),
            opened: self.opened.load(Ordering::Relaxed),
            waiting: self.places.waiting() + self.logins.waiting(),
        }
    }

    /// A connection, idle or new, in the time that one attempt has, and by the deadline.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Conn, AttemptError> {
        let limit = self.attempt_timeout;
        match by(|began| deadline.min(began + limit), pin!(self.take())).await {
            Ok(Ok(conn)) => {
                self.note_heard();
                Ok(conn)
            }
            Ok(Err(error)) => Err(AttemptError::Connect(error)),
            // Cut short by the caller: it says nothing of the peer.
            Err(cut) if deadline < cut.began + limit => Err(AttemptError::OutOfTime),
            Err(cut) if self.was_heard_since(cut.began) => Err(AttemptError::Slow(limit)),
            Err(_) => Err(AttemptError::TimedOut(limit)),
        }
    }

    /// A connection from the driver's pool as soon as one is idle, or one more may be open.
    ///
    /// Who has a place may have a connection; but the driver takes returned ones in by a task of
    /// its own, and until it has done so the next one in would open another, and another. So while
    /// more are open than are out, one may be on its way: it is given a moment. And no more are
    /// opened than may be out, however long the driver takes; if that is because the peer is
    /// silent, until the attempt's time is up.
    async fn take(&self) -> mysql_async::Result<Conn> {
        let mut looks: u32 = 0;
        loop {
            let mut getting = pin!(self.driver.get_conn());
            let may = || {
                if self.has_idle() {
                    return true;
                }
                let open = self.driver.open();
                // Of the places taken, one is the caller's, who has no connection yet.
                let one_may_come = open >= self.places.taken() && looks < PATIENCE;
                open < self.places.limit() && !one_may_come
            };
            match self.driver.begin(getting.as_mut(), may).await {
                Some(Poll::Ready(conn)) => return conn,
                Some(Poll::Pending) => return getting.await,
                None if looks < YIELDS => tokio::task::yield_now().await,
                // Boxed, as it is seldom needed and would make every checkout larger.
                None => Box::pin(sleep(LOOK)).await,
            }
            looks += 1;
        }
    }

    /// The peer has answered something.
    pub(crate) fn note_heard(&self) {
        self.heard
            .store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// A connection on which one statement was run for the pool is on its way back.
    pub(crate) fn note_one_off(&self) {
        self.one_off
            .store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn had_one_off_within(&self, time: Duration) -> bool {
        let last = Duration::from_millis(self.one_off.load(Ordering::Relaxed));
        self.start.elapsed() < last.saturating_add(time)
    }

    fn was_heard_since(&self, moment: Instant) -> bool {
        let since = moment.saturating_duration_since(self.start).as_millis() as u64;
        self.heard.load(Ordering::Relaxed) > since
    }

    pub(crate) fn was_heard_within(&self, time: Duration) -> bool {
        Instant::now()
            .checked_sub(time)
            .is_some_and(|since| self.was_heard_since(since))
    }

    pub(crate) fn resets(&self) -> bool {
        self.reset
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
            let verdict = turn.0.check_up().await;
            if verdict.peer == PeerVerdict::Healthy {
                turn.0.note_checked();
            }
            ticket.report(verdict);
        });
    }

    /// Checks the peer, and notes whether it is lost.
    pub(crate) async fn check_up(&self) -> Verdict {
        let began = Instant::now();
        let found = self.check.run(&self.opts).await;
        let heard_since = |moment| self.was_heard_since(moment);
        self.silence.note(began, found.silent, heard_since);
        found.verdict
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

/// The same peer: the same place, login and options. Its connections are not looked at.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.opts == other.opts
    }
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
        Endpoint::new(Opts::from_url(url).unwrap(), &PoolOptions::default())
    }

    #[test]
    fn its_places_and_what_it_keeps_open_are_the_peers_own() {
        let endpoint = endpoint("mysql://h/d?pool_max=7&pool_min=3");
        assert_eq!((endpoint.places.limit(), endpoint.places.free()), (7, 7));
        assert_eq!(endpoint.missing(), 3);
        assert!(endpoint.resets());
    }

    #[test]
    fn no_password_shows() {
        let shown = format!("{:?}", endpoint("mysql://u:hunter2@h/d"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
