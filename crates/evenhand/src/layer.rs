//! How to balance, as a value.

use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use crate::check::{Checker, Checks};
use crate::classify::{AnyErrorIsDown, Verdict};
use crate::eject::Eject;
use crate::hedge::HedgeLayer;
use crate::peer::Peer;
use crate::peers::Peers;
use crate::pick::Uniform;
use crate::policy::Policy;
use crate::probe::BackgroundProbe;
use crate::random::Random;
use crate::replay::Cloned;
use crate::service::{Balance, Shared};

/// What a request does when no peer is left to try and some may come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllDown {
    /// It fails at once. The default.
    #[default]
    Fail,
    /// It waits until a peer recovers or is due for a probe, for at most this long in all.
    WaitUpTo(Duration),
    /// It makes one attempt on the ejected peer that is due soonest, before its time. If that one
    /// is being probed already, it fails.
    LastResort,
}

/// How to balance: over which peers, who judges outcomes, when to eject and how to recover.
///
/// Wraps one cloneable connector, a `Service<Attempt<P, R>>`, into a [`Balance`], a `Service<R>`.
///
/// | setting | default |
/// | --- | --- |
/// | [`classify`](Self::classify) | [`AnyErrorIsDown`]: any error ejects, only idempotent requests are retried |
/// | [`replay`](Self::replay) | [`Cloned`]: requests are cloned, none is idempotent |
/// | [`pick`](Self::pick) | [`Uniform`]: each peer that is up with equal probability |
/// | [`eject`](Self::eject) | [`Eject::on_first`]: at the first `Down` or 5 `Degraded` in a row; rechecked after 1 s, doubling up to 30 s |
/// | [`all_down`](Self::all_down) | [`AllDown::Fail`] |
/// | [`probe`](Self::probe) | none: the next caller's attempt is the probe |
/// | [`check_every`](Self::check_every) | never: peers that are up are judged by callers' attempts alone |
/// | [`fall`](Self::fall), [`rise`](Self::rise) | 3 failed checks, 1 successful probe |
/// | [`seed`](Self::seed) | the system's randomness |
#[must_use]
pub struct BalanceLayer<P, C = AnyErrorIsDown, Y = Cloned, K = Uniform> {
    settings: Settings<P>,
    classify: C,
    replay: Y,
    pick: K,
}

/// What a layer is told that changes no type.
struct Settings<P> {
    peers: Peers<P>,
    eject: Eject,
    probe: Option<BackgroundProbe<P>>,
    checks: Checks,
    all_down: AllDown,
    seed: Option<u64>,
}

impl<P> Clone for Settings<P> {
    fn clone(&self) -> Self {
        Self {
            peers: self.peers.clone(),
            eject: self.eject.clone(),
            probe: self.probe.clone(),
            ..*self
        }
    }
}

impl<P> BalanceLayer<P> {
    /// Balances over `peers`, with the defaults.
    pub fn new(peers: Peers<P>) -> Self {
        let settings = Settings {
            peers,
            eject: Eject::default(),
            probe: None,
            checks: Checks::default(),
            all_down: AllDown::default(),
            seed: None,
        };
        Self {
            settings,
            classify: AnyErrorIsDown::default(),
            replay: Cloned::default(),
            pick: Uniform,
        }
    }
}

impl<P, C, Y, K> BalanceLayer<P, C, Y, K> {
    /// Judges outcomes with `classify`: a [`Classify`](crate::Classify), which a closure can be.
    pub fn classify<D>(self, classify: D) -> BalanceLayer<P, D, Y, K> {
        BalanceLayer {
            settings: self.settings,
            classify,
            replay: self.replay,
            pick: self.pick,
        }
    }

    /// Keeps requests for another attempt with `replay`: a [`Replay`](crate::Replay).
    pub fn replay<Z>(self, replay: Z) -> BalanceLayer<P, C, Z, K> {
        BalanceLayer {
            settings: self.settings,
            classify: self.classify,
            replay,
            pick: self.pick,
        }
    }

    /// Chooses among the peers that are up with `pick`: a [`Pick`](crate::Pick).
    pub fn pick<L>(self, pick: L) -> BalanceLayer<P, C, Y, L> {
        BalanceLayer {
            settings: self.settings,
            classify: self.classify,
            replay: self.replay,
            pick,
        }
    }

    /// When to eject and when to recheck.
    pub fn eject(mut self, eject: Eject) -> Self {
        self.settings.eject = eject;
        self
    }

    /// What to do when no peer is left to try.
    pub fn all_down(mut self, all_down: AllDown) -> Self {
        self.settings.all_down = all_down;
        self
    }

    /// Probes ejected peers in the background with `service`, which is given `limit` for each
    /// probe, so that no caller's request has to find out whether a peer is back. It is back if the
    /// service answers with a [`Verdict`] that is `Healthy`, or simply with `()`; any
    /// other verdict, which may say why and when to look again, an error, or no answer in time mean
    /// that it is not.
    ///
    /// The probe runs on the tokio runtime in which the peer was ejected. Where there is none, or
    /// if it ends, the next caller's attempt is the probe.
    pub fn probe<V>(mut self, service: V, limit: Duration) -> Self
    where
        P: Send + Sync + 'static,
        V: Service<Peer<P>> + Clone + Send + Sync + 'static,
        V::Response: Into<Verdict>,
        V::Future: Send,
    {
        self.settings.probe = Some(BackgroundProbe::new(service, limit));
        self
    }

    /// Checks each peer that is up once in `interval`, strayed by up to a tenth, with the service
    /// that was given to [`probe`](Self::probe); without that, this does nothing. A peer that did
    /// its job for a caller since the last round is not checked. So busy peers see no checks, and
    /// an idle one that is lost is found before a caller finds it.
    ///
    /// [`fall`](Self::fall) failed checks in a row eject. At most one check of a peer is out at a
    /// time, so an interval shorter than the probe's limit may be stretched to it. While it is out it
    /// counts as in flight. A check that succeeds brings the peer no credit with
    /// [`Eject`](crate::Eject).
    ///
    /// The checks run in a task of their own, on the tokio runtime of the first request, and in
    /// another's if that one ends. They end with the last clone of the balancer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand::{BalanceLayer, Peer, Peers};
    /// use tower::service_fn;
    ///
    /// let peers = Peers::new([("db0", "10.0.0.1:3306"), ("db1", "10.0.0.2:3306")])?;
    /// # async fn ping(_: &str) -> std::io::Result<()> { Ok(()) }
    /// let ping = service_fn(|peer: Peer<&'static str>| async move { ping(*peer).await });
    /// let layer = BalanceLayer::new(peers)
    ///     .probe(ping, Duration::from_secs(1))
    ///     .check_every(Duration::from_secs(5))
    ///     .fall(2);
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    pub fn check_every(mut self, interval: Duration) -> Self {
        self.settings.checks.every = Some(interval);
        self
    }

    /// Whether peers are checked also while traffic proves them: for a probe that asks for more
    /// than traffic tells, such as whether a database that answers is writable. Default: `false`.
    pub fn check_busy(mut self, busy: bool) -> Self {
        self.settings.checks.busy = busy;
        self
    }

    /// So many failed checks in a row eject a peer that is up; nought counts as one. Default:
    /// [`DEFAULT_FALL`](crate::DEFAULT_FALL). Callers' attempts count apart: they go by
    /// [`eject`](Self::eject).
    pub fn fall(mut self, checks: u32) -> Self {
        self.settings.checks.fall = checks.max(1);
        self
    }

    /// So many successful background probes in a row, an interval of
    /// [`check_every`](Self::check_every) apart, bring an ejected peer back; nought counts as one.
    /// Default: [`DEFAULT_RISE`](crate::DEFAULT_RISE). One that fails starts the ejection's next
    /// interval. Without `check_every`, or where a caller's attempt is the probe, one success is
    /// enough.
    pub fn rise(mut self, probes: u32) -> Self {
        self.settings.checks.rise = probes.max(1);
        self
    }

    /// Sends a request that has no outcome `after` this time to a second peer as well, and takes
    /// the first answer: see [`HedgeLayer`] for what that is good for and what it costs. To be set
    /// last.
    pub fn hedge_after(self, after: Duration) -> HedgeLayer<P, C, Y, K> {
        HedgeLayer::new(self, after)
    }

    /// Draws picks and jitter from a generator that starts from `seed`, for tests that must come
    /// out the same each time. Each service that this layer makes starts anew.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }
}

impl<P, C: Clone, Y: Clone, K: Clone, S> Layer<S> for BalanceLayer<P, C, Y, K> {
    type Service = Balance<S, P, C, Y, K>;

    fn layer(&self, connector: S) -> Self::Service {
        let settings = &self.settings;
        let policy = Arc::new(Policy {
            eject: settings.eject.clone(),
            probe: settings.probe.clone(),
            checks: settings.checks,
            random: settings.seed.map_or(Random::PerThread, Random::seeded),
        });
        let shared = Shared {
            policy_id: settings.peers.set.policies.add(&policy),
            peers: settings.peers.clone(),
            classify: self.classify.clone(),
            replay: self.replay.clone(),
            pick: self.pick.clone(),
            checker: Checker::new(&settings.peers.set, &policy),
            policy,
            all_down: settings.all_down,
        };
        Balance::new(connector, shared)
    }
}

impl<P, C: Clone, Y: Clone, K: Clone> Clone for BalanceLayer<P, C, Y, K> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            classify: self.classify.clone(),
            replay: self.replay.clone(),
            pick: self.pick.clone(),
        }
    }
}

impl<P, C, Y, K> std::fmt::Debug for BalanceLayer<P, C, Y, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("peers", &self.settings.peers)
            .field("eject", &self.settings.eject)
            .field("checks", &self.settings.checks)
            .field("all_down", &self.settings.all_down)
            .finish_non_exhaustive()
    }
}
