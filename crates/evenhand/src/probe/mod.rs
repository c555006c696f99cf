//! Probes: how a peer is asked whether it is well, outside callers' requests. Knows of attempts and
//! their verdicts, but of no request.
//!
//! [`recheck`] probes ejected peers when they are due; [`active_check`] checks peers that are up;
//! [`prober`] keeps both running.

mod active_check;
pub(crate) mod prober;
mod recheck;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tower_service::Service;

use crate::classify::Verdict;
use crate::set::Set;
use crate::set::peer::Peer;
use crate::set::policies::Policy;

/// The number of consecutive failed checks that eject a peer, unless
/// [`ActiveChecks::fall`] says otherwise: 3.
pub const DEFAULT_FALL: u32 = 3;

type ProbeFuture = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A service that probes peers, its time limit, and when it is used.
///
/// ```
/// use std::time::Duration;
/// use evenhand::{ActiveChecks, BalanceLayer, Peer, Peers, Probe};
/// use tower::service_fn;
///
/// let peers = Peers::new([("db0", "10.0.0.1:3306".to_owned()), ("db1", "10.0.0.2:3306".to_owned())])?;
/// # async fn ping(_: &str) -> std::io::Result<()> { Ok(()) }
/// let ping = service_fn(|peer: Peer<String>| async move { ping(&peer).await });
/// let probe = Probe::new(ping, Duration::from_secs(1))
///     .active_checks(ActiveChecks::every(Duration::from_secs(5)).fall(2));
/// let layer = BalanceLayer::new(peers).probe(probe);
/// # Ok::<(), evenhand::PeersError>(())
/// ```
#[must_use]
pub struct Probe<Target> {
    service: Arc<dyn Fn(Peer<Target>) -> ProbeFuture + Send + Sync>,
    timeout: Duration,
    rise: u32,
    rise_interval: Duration,
    checks: Option<ActiveChecks>,
}

impl<Target: Send + Sync + 'static> Probe<Target> {
    /// Probes ejected peers in the background with `service`, so that no caller's request has to
    /// find out whether a peer is back. A probe without an answer after `timeout` has failed.
    /// Probes are due as [`Eject`](crate::Eject) says.
    ///
    /// A probe succeeds if the service answers with a [`Verdict`] that is `Healthy`, or with `()`. It
    /// fails on any other verdict, which may give a reason and the time to the next probe, on an
    /// error, which is logged at `DEBUG` as its `Debug` shows it, on a panic, and on a timeout. While a peer
    /// is up, a check of it that is `Neutral` or `Suspect` says nothing: it neither fails nor ends a row of
    /// failures.
    ///
    /// Probes run on the tokio runtime in which the layer was applied or the balancer called. If
    /// that runtime ends, the next call in another one takes over; meanwhile, callers' attempts
    /// probe.
    pub fn new<V>(service: V, timeout: Duration) -> Self
    where
        V: Service<Peer<Target>> + Clone + Send + Sync + 'static,
        V::Response: Into<Verdict>,
        V::Error: fmt::Debug,
        V::Future: Send,
    {
        let run = move |peer: Peer<Target>| -> ProbeFuture {
            let (name, pool) = (peer.shared_name(), peer.pool());
            let mut service = service.clone();
            Box::pin(async move {
                let answer = async {
                    poll_fn(|cx| service.poll_ready(cx)).await?;
                    service.call(peer).await
                };
                match answer.await {
                    Ok(answer) => answer.into(),
                    Err::<_, V::Error>(error) => {
                        let (pool, peer) = (pool.as_deref(), &*name);
                        tracing::debug!(pool, peer, ?error, "a probe's service failed");
                        Verdict::down().because("probe failed")
                    }
                }
            })
        };
        Self {
            service: Arc::new(run),
            timeout,
            rise: 1,
            rise_interval: Duration::ZERO,
            checks: None,
        }
    }

    /// How long one probe may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// One probe, within its time.
    pub(crate) async fn run(&self, peer: Peer<Target>) -> Verdict {
        let verdict = timeout(self.timeout, (self.service)(peer)).await;
        verdict.unwrap_or(Verdict::down().because("probe timed out"))
    }
}

impl<Target> Probe<Target> {
    /// Brings an ejected peer back only after `probes` consecutive successes, `interval` (±10 %)
    /// apart, clamped to 1 ms to 1 year. A probe that fails starts the ejection's next interval.
    ///
    /// Default: 1; 0 is treated as 1. Does not apply where a caller's attempt is the probe: there one
    /// success is enough.
    pub fn rise(mut self, probes: u32, interval: Duration) -> Self {
        self.rise = probes.max(1);
        self.rise_interval = interval;
        self
    }

    /// Checks peers that are up with the same service. Default: peers that are up are judged by
    /// callers' attempts alone.
    pub fn active_checks(mut self, checks: ActiveChecks) -> Self {
        self.checks = Some(checks);
        self
    }
}

/// What the background tasks of a balancer work with. They hold it weakly, and end when it is gone.
struct Context<Target> {
    set: Arc<Set<Target>>,
    policy: Arc<Policy>,
    probe: Probe<Target>,
}

impl<Target> Drop for Context<Target> {
    fn drop(&mut self) {
        // The tasks look, and end.
        self.set.registry.due_changed.notify_waiters();
    }
}

impl<Target> Clone for Probe<Target> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            ..*self
        }
    }
}

impl<Target> fmt::Debug for Probe<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("timeout", &self.timeout)
            .field("rise", &self.rise)
            .field("rise_interval", &self.rise_interval)
            .field("checks", &self.checks)
            .finish_non_exhaustive()
    }
}

/// How peers that are up are checked: see [`Probe::active_checks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ActiveChecks {
    interval: Duration,
    fall: u32,
    under_traffic: bool,
}

impl ActiveChecks {
    /// Checks each peer that is up once in `interval` (clamped to 1 ms to 1 year, with ±10 % jitter). A
    /// peer that did its job for a caller since the last round is not checked. So busy peers see no
    /// checks, and an idle peer that is lost is found before a caller finds it.
    ///
    /// At most one check of a peer is in flight, so an interval shorter than the probe's timeout
    /// may be stretched to it. A check that succeeds gives the peer no credit with
    /// [`Eject`](crate::Eject).
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            fall: DEFAULT_FALL,
            under_traffic: false,
        }
    }

    /// The number of consecutive failed checks that eject a peer; 0 is treated as 1. Default:
    /// [`DEFAULT_FALL`]. Callers' attempts are counted apart, by [`Eject`](crate::Eject).
    pub const fn fall(mut self, checks: u32) -> Self {
        self.fall = if checks == 0 { 1 } else { checks };
        self
    }

    /// Whether to check also peers that did their job for a caller since the last round: for a probe
    /// that checks more than traffic shows, such as whether a database is writable. Default: `false`.
    pub const fn under_traffic(mut self, under_traffic: bool) -> Self {
        self.under_traffic = under_traffic;
        self
    }
}
