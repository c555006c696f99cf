//! How to balance, as a value.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::rules::Rules;
use super::service::Balance;
use super::shared::Shared;
use crate::all_down::AllDown;
use crate::classify::AnyErrorIsDown;
use crate::eject::Eject;
use crate::peers::Peers;
use crate::pick::Uniform;
use crate::probe::{Probe, Prober};
use crate::replay::Cloned;
use crate::rng::Rng;
use crate::set::policies::Policy;

/// How to balance: over which peers, who judges outcomes, when to eject and how to recover.
///
/// Wraps one cloneable connector, a `Service<Attempt<Target, Request>>`, into a [`Balance`], a
/// `Service<Request>`.
///
/// | setting | default |
/// | --- | --- |
/// | [`classify`](Self::classify) | [`AnyErrorIsDown`]: any error ejects, only idempotent requests are retried |
/// | [`replay`](Self::replay) | [`Cloned`]: requests are cloned, none is idempotent |
/// | [`pick`](Self::pick) | [`Uniform`]: each peer that is up with equal probability |
/// | [`eject`](Self::eject) | [`Eject::on_first`]: on the first `Down` or 5 consecutive `Degraded`; rechecked after 1 s, doubling up to 30 s |
/// | [`all_down`](Self::all_down) | [`AllDown::Fail`] |
/// | [`probe`](Self::probe) | none: the next caller's attempt is the probe, and peers that are up are not checked |
/// | [`seed`](Self::seed) | the system's randomness |
#[must_use]
pub struct BalanceLayer<Target, Classifier = AnyErrorIsDown, Replayer = Cloned, Picker = Uniform> {
    settings: Settings<Target>,
    rules: Rules<Classifier, Replayer, Picker>,
}

/// The settings that change no type.
struct Settings<Target> {
    peers: Peers<Target>,
    eject: Eject,
    probe: Option<Probe<Target>>,
    all_down: AllDown,
    seed: Option<u64>,
}

impl<Target> Clone for Settings<Target> {
    fn clone(&self) -> Self {
        Self {
            peers: self.peers.clone(),
            eject: self.eject.clone(),
            probe: self.probe.clone(),
            ..*self
        }
    }
}

impl<Target> BalanceLayer<Target> {
    /// Balances over `peers`, with the defaults.
    pub fn new(peers: Peers<Target>) -> Self {
        Self {
            settings: Settings {
                peers,
                eject: Eject::default(),
                probe: None,
                all_down: AllDown::default(),
                seed: None,
            },
            rules: Rules {
                classifier: AnyErrorIsDown::default(),
                replayer: Cloned::default(),
                picker: Uniform,
            },
        }
    }
}

impl<Target, Classifier, Replayer, Picker> BalanceLayer<Target, Classifier, Replayer, Picker> {
    /// Judges outcomes with `classifier`: a [`Classify`](crate::Classify), such as a closure.
    pub fn classify<C>(self, classifier: C) -> BalanceLayer<Target, C, Replayer, Picker> {
        let Rules {
            replayer, picker, ..
        } = self.rules;
        BalanceLayer {
            settings: self.settings,
            rules: Rules {
                classifier,
                replayer,
                picker,
            },
        }
    }

    /// Copies requests for further attempts with `replayer`: a [`Replay`](crate::Replay).
    pub fn replay<R>(self, replayer: R) -> BalanceLayer<Target, Classifier, R, Picker> {
        let Rules {
            classifier, picker, ..
        } = self.rules;
        BalanceLayer {
            settings: self.settings,
            rules: Rules {
                classifier,
                replayer,
                picker,
            },
        }
    }

    /// Chooses among the peers that are up with `picker`: a [`Pick`](crate::Pick).
    pub fn pick<P>(self, picker: P) -> BalanceLayer<Target, Classifier, Replayer, P> {
        let Rules {
            classifier,
            replayer,
            ..
        } = self.rules;
        BalanceLayer {
            settings: self.settings,
            rules: Rules {
                classifier,
                replayer,
                picker,
            },
        }
    }

    /// When to eject a peer and when to recheck it.
    pub fn eject(mut self, eject: Eject) -> Self {
        self.settings.eject = eject;
        self
    }

    /// What a request does when no peer is left to try.
    pub fn all_down(mut self, all_down: AllDown) -> Self {
        self.settings.all_down = all_down;
        self
    }

    /// Probes ejected peers in the background, and checks peers that are up if
    /// [`Probe::active_checks`] is set.
    pub fn probe(mut self, probe: Probe<Target>) -> Self {
        self.settings.probe = Some(probe);
        self
    }

    /// Draws picks and jitter from a generator that starts from `seed`, for tests that must come
    /// out the same each time. Each service that this layer makes starts anew. A seeded generator
    /// is shared by all threads behind a lock.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// The peers to balance over.
    pub fn peers(&self) -> &Peers<Target> {
        &self.settings.peers
    }
}

impl<Target, Classifier, Replayer, Picker, Connector> Layer<Connector>
    for BalanceLayer<Target, Classifier, Replayer, Picker>
where
    Target: Send + Sync + 'static,
    Classifier: Clone,
    Replayer: Clone,
    Picker: Clone,
{
    type Service = Balance<Connector, Target, Classifier, Replayer, Picker>;

    fn layer(&self, connector: Connector) -> Self::Service {
        let Settings {
            peers,
            eject,
            probe,
            all_down,
            seed,
        } = self.settings.clone();
        let policy = Arc::new(Policy {
            eject,
            rng: seed.map_or(Rng::PerThread, Rng::seeded),
        });
        let prober = probe.map(|probe| Prober::new(&peers.set, &policy, probe));
        if let Some(prober) = &prober {
            prober.keep_running();
        }
        let shared = Shared {
            policy_id: peers.set.registry.policies.add(&policy),
            peers,
            rules: self.rules.clone(),
            policy,
            all_down,
            prober,
        };
        Balance::new(connector, shared)
    }
}

impl<Target, Classifier, Replayer, Picker> Clone
    for BalanceLayer<Target, Classifier, Replayer, Picker>
where
    Classifier: Clone,
    Replayer: Clone,
    Picker: Clone,
{
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            rules: self.rules.clone(),
        }
    }
}

impl<Target, Classifier, Replayer, Picker> fmt::Debug
    for BalanceLayer<Target, Classifier, Replayer, Picker>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("peers", &self.settings.peers)
            .field("eject", &self.settings.eject)
            .field("probe", &self.settings.probe)
            .field("all_down", &self.settings.all_down)
            .finish_non_exhaustive()
    }
}
