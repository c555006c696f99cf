//! How to balance, as a value.

use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use crate::classify::AnyErrorIsDown;
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
/// | [`seed`](Self::seed) | the system's randomness |
#[must_use]
pub struct BalanceLayer<P, C = AnyErrorIsDown, Y = Cloned, K = Uniform> {
    peers: Peers<P>,
    classify: C,
    replay: Y,
    pick: K,
    eject: Eject,
    probe: Option<BackgroundProbe<P>>,
    all_down: AllDown,
    seed: Option<u64>,
}

impl<P> BalanceLayer<P> {
    /// Balances over `peers`, with the defaults.
    pub fn new(peers: Peers<P>) -> Self {
        Self {
            peers,
            classify: AnyErrorIsDown::default(),
            replay: Cloned::default(),
            pick: Uniform,
            eject: Eject::default(),
            probe: None,
            all_down: AllDown::default(),
            seed: None,
        }
    }
}

impl<P, C, Y, K> BalanceLayer<P, C, Y, K> {
    /// Judges outcomes with `classify`: a [`Classify`](crate::Classify), which a closure can be.
    pub fn classify<D>(self, classify: D) -> BalanceLayer<P, D, Y, K> {
        let Self {
            peers,
            classify: _,
            replay,
            pick,
            eject,
            probe,
            all_down,
            seed,
        } = self;
        BalanceLayer {
            peers,
            classify,
            replay,
            pick,
            eject,
            probe,
            all_down,
            seed,
        }
    }

    /// Keeps requests for another attempt with `replay`: a [`Replay`](crate::Replay).
    pub fn replay<Z>(self, replay: Z) -> BalanceLayer<P, C, Z, K> {
        let Self {
            peers,
            classify,
            replay: _,
            pick,
            eject,
            probe,
            all_down,
            seed,
        } = self;
        BalanceLayer {
            peers,
            classify,
            replay,
            pick,
            eject,
            probe,
            all_down,
            seed,
        }
    }

    /// Chooses among the peers that are up with `pick`: a [`Pick`](crate::Pick).
    pub fn pick<L>(self, pick: L) -> BalanceLayer<P, C, Y, L> {
        let Self {
            peers,
            classify,
            replay,
            pick: _,
            eject,
            probe,
            all_down,
            seed,
        } = self;
        BalanceLayer {
            peers,
            classify,
            replay,
            pick,
            eject,
            probe,
            all_down,
            seed,
        }
    }

    /// When to eject and when to recheck.
    pub fn eject(mut self, eject: Eject) -> Self {
        self.eject = eject;
        self
    }

    /// What to do when no peer is left to try.
    pub fn all_down(mut self, all_down: AllDown) -> Self {
        self.all_down = all_down;
        self
    }

    /// Probes ejected peers in the background with `service`, which is given `limit` for each
    /// probe, so that no caller's request has to find out whether a peer is back. A response means
    /// that it is.
    ///
    /// The probe runs on the tokio runtime in which the peer was ejected. Where there is none, or
    /// if it ends, the next caller's attempt is the probe.
    pub fn probe<V>(mut self, service: V, limit: Duration) -> Self
    where
        P: Send + Sync + 'static,
        V: Service<Peer<P>> + Clone + Send + Sync + 'static,
        V::Future: Send,
    {
        self.probe = Some(BackgroundProbe::new(service, limit));
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
        self.seed = Some(seed);
        self
    }
}

impl<P, C: Clone, Y: Clone, K: Clone, S> Layer<S> for BalanceLayer<P, C, Y, K> {
    type Service = Balance<S, P, C, Y, K>;

    fn layer(&self, connector: S) -> Self::Service {
        let random = self.seed.map_or(Random::PerThread, Random::seeded);
        let policy = Arc::new(Policy {
            eject: self.eject.clone(),
            probe: self.probe.clone(),
            random,
        });
        // An operator's ejection goes by the first balancer's policy.
        self.peers.set.policy.get_or_init(|| policy.clone());
        let shared = Shared {
            peers: self.peers.clone(),
            classify: self.classify.clone(),
            replay: self.replay.clone(),
            pick: self.pick.clone(),
            policy,
            all_down: self.all_down,
        };
        Balance::new(connector, shared)
    }
}

impl<P, C: Clone, Y: Clone, K: Clone> Clone for BalanceLayer<P, C, Y, K> {
    fn clone(&self) -> Self {
        Self {
            peers: self.peers.clone(),
            classify: self.classify.clone(),
            replay: self.replay.clone(),
            pick: self.pick.clone(),
            eject: self.eject.clone(),
            probe: self.probe.clone(),
            all_down: self.all_down,
            seed: self.seed,
        }
    }
}

impl<P, C, Y, K> std::fmt::Debug for BalanceLayer<P, C, Y, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("peers", &self.peers)
            .field("eject", &self.eject)
            .field("all_down", &self.all_down)
            .finish_non_exhaustive()
    }
}
