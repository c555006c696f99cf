//! One peer: its address, this client's connections to it, and its checks.
//!
//! Knows the options and the classifier, not the balancer, the pool or the connection guard.

pub(crate) mod check;
pub(crate) mod connect;
pub(crate) mod driver_pool;
pub(crate) mod into_peer;
pub(crate) mod permits;
pub(crate) mod writable;

pub(crate) mod traffic;

mod checks;
mod driver_opts;
mod home;
mod silence;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenhand::{PeerVerdict, Ticket, Verdict};
use mysql_async::{Opts, ServerError};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::error::Error;
use crate::names::place::Place;
use crate::observe::PeerMetrics;
use crate::options::PoolOptions;
use crate::usage::PeerUsage;
use check::Check;
use checks::Checks;
use driver_opts::{count_opened, driver_opts};
use driver_pool::DriverPool;
use into_peer::{IntoPeer, address};
use permits::Permits;
use silence::{Silence, SilenceDetector};
use traffic::Traffic;

/// A check that [`Endpoint::check_now`] asks for begins no sooner than this after one that succeeded.
const CHECK_SPACING: Duration = Duration::from_secs(1);

/// How many logins to one peer may be in progress at a time.
const MAX_LOGINS: usize = 16;

/// A peer as the balancer holds it.
pub(crate) type Peer = evenhand::Peer<Arc<Endpoint>>;

/// An endpoint and its name, as a peer set is made from.
pub(crate) type NamedEndpoint = (Arc<str>, Arc<Endpoint>);

pub(crate) struct Endpoint {
    /// As they were given.
    given: Opts,
    opts: Opts,
    /// Where the peer is, if it was given by a host name that is looked up.
    pub(crate) place: Option<Place>,
    /// The connections. Those that are opened there are counted in `opened`.
    pub(crate) driver: DriverPool,
    opened: Arc<AtomicU64>,
    /// Whether connections are reset when they are returned.
    pub(crate) resets: bool,
    /// Permits for connections in use.
    pub(crate) permits: Permits,
    /// What the peer said when it was full.
    refusal: Mutex<Option<ServerError>>,
    /// How many connections are kept open while the peer is up.
    min_connections: usize,
    /// The time limit of one login, and of one clean-up.
    pub(crate) connect_timeout: Duration,
    pub(crate) check: Check,
    pub(crate) silence: SilenceDetector,
    /// Whether operations that wait for the peer end when it is lost.
    pub(crate) end_on_lost_peer: bool,
    checks: Arc<Checks>,
    /// Permits for logins. Few may be in progress at a time, so that a peer that comes back does not
    /// get so many at once that all of them time out.
    pub(crate) logins: Permits,
    /// Whether the peer refused the latest login.
    refuses_logins: AtomicBool,
    /// Whether a task watches for connections that only the driver sees fail; see `pool::direct`.
    pub(crate) watched: AtomicBool,
    pub(crate) traffic: Traffic,
    pub(crate) metrics: PeerMetrics,
}

impl Endpoint {
    /// For a peer of this name.
    pub(crate) fn new(name: &Arc<str>, opts: Opts, options: &PoolOptions) -> Self {
        let metrics = PeerMetrics::new(options.get_name(), name.clone());
        let pool_opts = opts.pool_opts();
        let (constraints, resets) = (pool_opts.constraints(), pool_opts.reset_connection());
        let given = opts.clone();
        let opts = driver_opts(opts, options);
        let opened = Arc::<AtomicU64>::default();
        let home = home::home(&opts);
        let looks_up = options.get_name_lookup_interval().is_some();
        let place = || Place::of(&opts, options.get_resolver());
        let place = looks_up.then(place).flatten();
        Self {
            given,
            place,
            driver: DriverPool::new(count_opened(&opts, opened.clone(), metrics.clone()), home),
            opts,
            opened,
            resets,
            permits: Permits::new(constraints.max()),
            refusal: Mutex::default(),
            min_connections: constraints.min(),
            connect_timeout: options.get_connect_timeout(),
            check: Check::new(options),
            silence: SilenceDetector::new(options.get_health_check().get_lost_after()),
            end_on_lost_peer: options.get_end_on_lost_peer(),
            checks: Arc::default(),
            logins: Permits::new(MAX_LOGINS),
            refuses_logins: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            traffic: Traffic::new(),
            metrics,
        }
    }

    /// The endpoints of a list of peers, each with its name.
    pub(crate) fn all(
        peers: impl IntoIterator<Item = impl IntoPeer>,
        options: &PoolOptions,
    ) -> Result<Vec<NamedEndpoint>, Error> {
        let peers = peers.into_iter().enumerate();
        peers
            .map(|(index, peer)| Self::of(peer, index + 1, options))
            .collect()
    }

    /// The endpoint of the peer with this number in its list, from 1, and its name.
    pub(crate) fn of(
        peer: impl IntoPeer,
        number: usize,
        options: &PoolOptions,
    ) -> Result<NamedEndpoint, Error> {
        let (name, opts) = peer.into_peer();
        let cause = match opts {
            // The driver would look it up as one name.
            Ok(opts) if opts.ip_or_hostname().contains(',') => {
                "several hosts for one peer: name each, or use `Pool::from_url`".into()
            }
            Ok(opts) => {
                let name = name.unwrap_or_else(|| address(&opts));
                let endpoint = Self::new(&name, opts, options);
                return Ok((name, Arc::new(endpoint)));
            }
            Err(cause) => cause,
        };
        let peer = name.unwrap_or_else(|| format!("number {number}").into());
        Err(Error::Options { peer, cause })
    }

    /// The options that the peer was made from.
    pub(crate) fn given(&self) -> &Opts {
        &self.given
    }

    /// How the peer is connected to, outside of its pool.
    pub(crate) fn opts(&self) -> &Opts {
        &self.opts
    }

    /// Whether a checkout would get a connection without waiting for another one to be returned.
    pub(crate) fn has_room(&self) -> bool {
        let open = || self.driver.open_in_all();
        if self.permits.waiting() == 0 && self.permits.may_begin_trial(open) {
            return true;
        }
        self.permits.free() > 0 && (self.has_idle() || self.logins.free() > 0)
    }

    /// Whether there is an idle connection, as far as the driver has counted.
    pub(crate) fn has_idle(&self) -> bool {
        self.driver.idle() > 0
    }

    /// How many connections are missing from those to be kept open.
    pub(crate) fn missing(&self) -> usize {
        self.min_connections.saturating_sub(self.driver.open())
    }

    pub(crate) fn usage(&self, peer: &Peer) -> PeerUsage {
        PeerUsage {
            peer: peer.shared_name(),
            state: peer.state(),
            in_use: self.permits.held(),
            limit: self.permits.limit().max(1),
            idle: self.driver.idle(),
            opened: self.opened.load(Ordering::Relaxed),
            waiting: self.permits.waiting() + self.logins.waiting(),
        }
    }

    /// Whether the peer refused the latest login.
    pub(crate) fn refuses_logins(&self) -> bool {
        self.refuses_logins.load(Ordering::Relaxed)
    }

    pub(crate) fn note_login(&self, verdict: PeerVerdict) {
        let refused = verdict == PeerVerdict::Suspect;
        self.refuses_logins.store(refused, Ordering::Relaxed);
    }

    /// Checks the peer soon, in the background, and reports the verdict to the ticket. Called after an
    /// outcome that may be a slow statement as well as a dead peer.
    ///
    /// One check runs at a time. One that began before the call does not replace this one, but many
    /// calls ask for one check only.
    pub(crate) fn check_now(self: &Arc<Self>, ticket: &Ticket<Arc<Self>>) {
        self.start_check(ticket, CHECK_SPACING);
    }

    /// As [`check_now`](Self::check_now), however long ago the latest check was. Called where something
    /// waits and nothing was heard.
    pub(crate) fn check_silence(self: &Arc<Self>, ticket: &Ticket<Arc<Self>>) {
        self.start_check(ticket, Duration::ZERO);
    }

    /// As [`check_now`](Self::check_now), after an outcome on a connection of this stay. If the peer has left it,
    /// there is no check.
    pub(crate) fn check_after(self: &Arc<Self>, stay: u32, ticket: &Ticket<Arc<Self>>) {
        if !self.driver.has_left(stay) {
            self.check_now(ticket);
        }
    }

    /// A check that is met by silence is repeated at once until the peer is lost. The first ejects it.
    fn start_check(self: &Arc<Self>, ticket: &Ticket<Arc<Self>>, spacing: Duration) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if ticket.is_stale() {
            return;
        }
        let Some(turn) = self.checks.want() else {
            return;
        };
        let (endpoint, ticket) = (self.clone(), ticket.clone());
        runtime.spawn(async move {
            if let Some(succeeded) = endpoint.checks.succeeded() {
                sleep_until(succeeded + spacing).await;
            }
            turn.begin();
            loop {
                let login = endpoint.traffic.slowest_login();
                let limit = endpoint.check.limit_of_silence(login);
                let (verdict, silence) = endpoint.check_once(limit).await;
                if verdict.peer == PeerVerdict::Healthy {
                    turn.succeed();
                }
                ticket.report(verdict);
                if silence != Silence::Suspected {
                    break;
                }
            }
            drop(turn);
            if endpoint.checks.is_wanted() {
                endpoint.check_now(&ticket);
            }
        });
    }

    /// Checks the peer, and records whether it is silent.
    pub(crate) async fn run_check(&self) -> Verdict {
        self.check_once(self.check.timeout).await.0
    }

    /// If the name moves during the check, the peer is checked where it is then.
    async fn check_once(&self, limit: Duration) -> (Verdict, Silence) {
        loop {
            let from = self.at();
            let checked = self.check_here(limit).await;
            if !self.is_gone(from) {
                return checked;
            }
        }
    }

    async fn check_here(&self, limit: Duration) -> (Verdict, Silence) {
        let began = Instant::now();
        let (from, stay) = (self.at(), self.driver.stay());
        let found = self.check.run(self.opts_to_reach(), limit).await;
        let heard_since = |moment| self.traffic.was_heard_since(moment);
        let silence = match found.silent {
            Some(silent) => self.silence.record(stay, began, silent, heard_since),
            None => Silence::None,
        };
        if silence == Silence::Lost {
            self.metrics.lost();
        }
        let is_down = found.verdict.peer == PeerVerdict::Down;
        // Not before those that wait there know that it is lost.
        if found.is_unreached && is_down && silence != Silence::Suspected {
            self.move_on(from);
        }
        (found.verdict, silence)
    }
}

/// Two are equal if their address, login and options are; their connections are not compared.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.opts == other.opts
    }
}

/// Shows the address only: the options may hold a password.
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
    use std::net::TcpListener;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        let opts = Opts::from_url(url).unwrap();
        Endpoint::new(&"a".into(), opts, &PoolOptions::default())
    }

    #[test]
    fn a_peers_own_limits_apply() {
        let endpoint = endpoint("mysql://h/d?pool_max=7&pool_min=3");
        assert_eq!((endpoint.permits.limit(), endpoint.permits.free()), (7, 7));
        assert_eq!(endpoint.missing(), 3);
        assert!(endpoint.resets);
    }

    /// Those of a purged pool count in the limit that was learned, and so in whether it may grow.
    #[tokio::test(start_paused = true)]
    async fn full_peer_has_room_again_though_its_connections_were_purged() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "mysql://{}/d?pool_min=0&pool_max=2",
            silent.local_addr().unwrap()
        );
        let endpoint = endpoint(&url);
        let _permit = endpoint.permits.try_acquire().unwrap();
        let mut opening = pin!(endpoint.driver.get_conn());
        let begun = endpoint.driver.poll_first(opening.as_mut(), || true).await;
        assert!(matches!(begun, Some(Poll::Pending)));
        endpoint.driver.purge();
        endpoint.note_full(None);
        assert_eq!(endpoint.permits.limit(), 1);
        assert!(!endpoint.has_room());
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(endpoint.has_room());
    }

    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?}", endpoint("mysql://u:hunter2@h/d"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
