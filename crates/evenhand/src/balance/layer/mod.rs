//! How to balance, as a value.

mod constructors;
#[cfg(feature = "metrics")]
mod metrics;
mod times;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::all_down::AllDown;
use super::rules::Rules;
use super::service::Balance;
use super::shared::{Budget, Limits, Shared};
use super::time::TimeLimits;
use crate::attempt::PeerTarget;
use crate::eject::Eject;
use crate::interval::within_bounds;
use crate::observe::meter::Meter;
use crate::peers::Peers;
use crate::pick::PickBy;
use crate::probe::Probe;
use crate::probe::prober::Prober;
use crate::rng::Rng;
use crate::set::policies::Policy;
use crate::timeouts::Timeouts;

/// How long a ticket that decides may take after the response, unless
/// [`BalanceLayer::ticket_timeout`] says otherwise and without a [`Probe`]: 1 s.
pub const DEFAULT_TICKET_TIMEOUT: Duration = Duration::from_secs(1);

/// How to balance: over which peers, how outcomes are judged, and how peers are picked, ejected and
/// brought back.
///
/// Wraps one cloneable connector, a `Service<Attempt<Target, Request>>`, into a [`Balance`], a
/// `Service<Request>`.
///
/// | setting | default |
/// | --- | --- |
/// | [`classify`](Self::classify) | [`AnyErrorIsDown`](crate::AnyErrorIsDown): any error ejects, only idempotent requests are retried |
/// | [`replay`](Self::replay) | [`Cloned`](crate::Cloned): requests are cloned, none is idempotent |
/// | [`pick`](Self::pick) | [`Uniform`](crate::Uniform): each peer that is up with equal probability |
/// | [`pick_by`](Self::pick_by) | not used: the pick knows nothing of the request |
/// | [`eject`](Self::eject) | [`Eject::on_first`]: on the first `Down` or 5 consecutive `Degraded`; rechecked after 1 s, doubling up to 30 s |
/// | [`all_down`](Self::all_down) | [`AllDown::Fail`] |
/// | [`max_attempts`](Self::max_attempts) | no limit: each peer once, and again while the request waits |
/// | [`max_unknown`](Self::max_unknown) | [`DEFAULT_MAX_UNKNOWN`](crate::DEFAULT_MAX_UNKNOWN) |
/// | [`max_refusals`](Self::max_refusals) | [`DEFAULT_MAX_REFUSALS`](crate::DEFAULT_MAX_REFUSALS) |
/// | [`retry_budget`](Self::retry_budget) | none |
/// | [`attempt_timeout`](Self::attempt_timeout) | none: an attempt may take any time |
/// | [`timeout_verdict`](Self::timeout_verdict) | `Verdict::degraded().if_idempotent()` |
/// | [`deadline`](Self::deadline) | none |
/// | [`probe`](Self::probe) | none: the next caller's attempt is the probe, and peers that are up are not checked |
/// | [`ticket_timeout`](Self::ticket_timeout) | the probe's timeout; without a probe [`DEFAULT_TICKET_TIMEOUT`]: 1 s |
/// | [`slow_start`](Self::slow_start) | off: a peer that comes back takes its full share at once |
/// | [`seed`](Self::seed) | the system's randomness |
#[must_use]
pub struct BalanceLayer<Target, R = Rules> {
    peers: Peers<Target>,
    probe: Option<Probe<Target>>,
    settings: Settings,
    rules: R,
}

/// The settings that no type depends on.
#[derive(Clone, Default)]
struct Settings {
    eject: Eject,
    all_down: AllDown,
    limits: Limits,
    times: TimeLimits,
    budget: Option<Budget>,
    ticket_timeout: Option<Duration>,
    slow_start: Duration,
    seed: Option<u64>,
    meter: Meter,
}

impl<Target> BalanceLayer<Target> {
    /// Balances over `peers`, with the defaults.
    pub fn new(peers: Peers<Target>) -> Self {
        Self {
            peers,
            probe: None,
            settings: Settings::default(),
            rules: Rules::default(),
        }
    }
}

impl<Target, Classifier, Replayer, Picker>
    BalanceLayer<Target, Rules<Classifier, Replayer, Picker>>
{
    /// Judges outcomes with `classifier`: a [`Classify`](crate::Classify), such as a closure.
    /// Default: [`AnyErrorIsDown`](crate::AnyErrorIsDown).
    pub fn classify<C>(self, classifier: C) -> BalanceLayer<Target, Rules<C, Replayer, Picker>> {
        self.map_rules(|rules| Rules {
            classifier,
            replayer: rules.replayer,
            picker: rules.picker,
        })
    }

    /// Copies requests for further attempts with `replayer`: a [`Replay`](crate::Replay), which also
    /// says which requests are idempotent. Default: [`Cloned`](crate::Cloned), with no request
    /// idempotent. Requests that are not `Clone` need another one, such as [`Once`](crate::Once).
    pub fn replay<R>(self, replayer: R) -> BalanceLayer<Target, Rules<Classifier, R, Picker>> {
        self.map_rules(|rules| Rules {
            classifier: rules.classifier,
            replayer,
            picker: rules.picker,
        })
    }

    /// Chooses among the peers that are up with `picker`: a [`Pick`](crate::Pick). Default:
    /// [`Uniform`](crate::Uniform).
    pub fn pick<P>(self, picker: P) -> BalanceLayer<Target, Rules<Classifier, Replayer, P>> {
        self.map_rules(|rules| Rules {
            classifier: rules.classifier,
            replayer: rules.replayer,
            picker,
        })
    }

    /// As [`pick`](Self::pick), with a `picker` that knows of the request: a [`Pick<Key>`](crate::Pick), such as
    /// [`Affinity`](crate::Affinity). `key` says what of a request it is to know. It is called before each
    /// attempt, on the caller's task, and again when a request that waits looks for a peer.
    pub fn pick_by<F, P>(
        self,
        key: F,
        picker: P,
    ) -> BalanceLayer<Target, Rules<Classifier, Replayer, PickBy<F, P>>> {
        self.pick(PickBy { key, pick: picker })
    }
}

impl<Target, R> BalanceLayer<Target, R> {
    fn map_rules<S>(self, map: impl FnOnce(R) -> S) -> BalanceLayer<Target, S> {
        BalanceLayer {
            peers: self.peers,
            probe: self.probe,
            settings: self.settings,
            rules: map(self.rules),
        }
    }

    /// When to eject a peer and when its probes are due. Default: [`Eject::on_first`].
    pub fn eject(mut self, eject: Eject) -> Self {
        self.settings.eject = eject;
        self
    }

    /// What a request does when no peer is left to try. Default: [`AllDown::Fail`].
    pub fn all_down(mut self, all_down: AllDown) -> Self {
        self.settings.all_down = all_down;
        self
    }

    /// The most attempts that one request makes, hedges included; 0 is treated as 1. Default: no limit.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.limits.attempts = attempts.max(1);
        self
    }

    /// The most peers that may execute one request whose outcomes stay unknown
    /// ([`Retry::IfIdempotent`](crate::Retry::IfIdempotent)); 0 is treated as 1. After that many, the request goes
    /// only to those peers, and to each of them only once it has proved itself since: by a probe, a
    /// check, or another request. So a request that kills its peers cannot take the set out.
    /// Default: [`DEFAULT_MAX_UNKNOWN`](crate::DEFAULT_MAX_UNKNOWN).
    ///
    /// Without active checks, a peer that stayed up counts as proved. Without a background probe the
    /// request itself may be the probe of one of those peers.
    pub fn max_unknown(mut self, peers: usize) -> Self {
        self.settings.limits.unknown = peers.max(1);
        self
    }

    /// How many peers refuse a request ([`PeerVerdict::Suspect`](crate::PeerVerdict::Suspect)) before it ends
    /// with [`Error::Inconclusive`](crate::Error::Inconclusive), or with a response if one was rejected; 0 is treated as 1. If there are fewer peers, all of
    /// them. Default: [`DEFAULT_MAX_REFUSALS`](crate::DEFAULT_MAX_REFUSALS).
    pub fn max_refusals(mut self, peers: usize) -> Self {
        self.settings.limits.refusals = peers.max(1);
        self
    }

    /// Asks `may_retry` before each retry, after the verdict has allowed it. If it says no, the
    /// request ends with what it has. Default: no budget.
    ///
    /// A budget bounds the load that retries add when many requests fail at once. It costs what it
    /// refuses: a request that another peer would have served fails. Peers that are down take no
    /// share of a budget for long, as they are ejected; so one is of use mostly where peers fail
    /// without being ejected.
    ///
    /// tower's budget fits. It is asked at a retry only, so deposits are up to you:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use evenhand::{BalanceLayer, Peers, Verdict};
    /// use tower::retry::budget::{Budget, TpsBudget};
    ///
    /// // A retry for every fifth success, and 10 a second besides.
    /// let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2));
    /// let deposit = budget.clone();
    /// let layer = BalanceLayer::new(Peers::new([("a", 1), ("b", 2)])?)
    ///     .classify(move |outcome: Result<&u16, &std::io::Error>| match outcome {
    ///         Ok(_) => {
    ///             deposit.deposit();
    ///             Verdict::healthy()
    ///         }
    ///         Err(_) => Verdict::down().safe(),
    ///     })
    ///     .retry_budget(move || budget.withdraw());
    /// # Ok::<(), evenhand::PeersError>(())
    /// ```
    pub fn retry_budget(mut self, may_retry: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.settings.budget = Some(Arc::new(may_retry));
        self
    }

    /// Probes ejected peers in the background, and checks peers that are up if
    /// [`Probe::active_checks`] is set. Default: no probe service; the next caller's attempt on an
    /// ejected peer that is due is its probe.
    pub fn probe(mut self, probe: Probe<Target>) -> Self {
        self.probe = Some(probe);
        self
    }

    /// How long an attempt with a [`deciding_ticket`](crate::Attempt::deciding_ticket) waits after its
    /// response for the ticket's report, at most (1 ms to 1 year). Then the response's own verdict
    /// counts. Default: the timeout of the [`probe`](Self::probe); without a probe
    /// [`DEFAULT_TICKET_TIMEOUT`].
    ///
    /// Longer than most responses take to the end, so that their ends count. It is also the time for
    /// which a probe whose response does not end keeps its peer out.
    pub fn ticket_timeout(mut self, timeout: Duration) -> Self {
        self.settings.ticket_timeout = Some(timeout);
        self
    }

    /// Lets a peer that comes back, or joins, take a share of the picks that grows in proportion to
    /// time over `window`, from 5 % of its full share on. Default: zero, which means off: a peer takes
    /// its full share at once.
    ///
    /// Works with any [`Pick`](crate::Pick): where it chooses a peer that ramps, the choice is accepted
    /// with the share that the peer has by then, else the pick is asked again, 16 times at most. If all
    /// peers that are up ramp, the one that is furthest takes its full share. Under
    /// [`LeastInFlight`](crate::LeastInFlight) the share can be up to twice as large, as that prefers
    /// peers with little to do.
    ///
    /// Peers ramp for every balancer over the same [`Peers`](crate::Peers), from when the first layer
    /// that sets it is applied; of several windows the longest counts. `window` is clamped to 1 ms to 1
    /// year. A peer of weight 0 does not ramp. The share is one of its [tier](crate::Peers::set_tier): a lone peer of
    /// a tier takes all of that at once, unless the pick is [`Affinity`](crate::Affinity), which sends a part of its
    /// keys to the next tier meanwhile.
    pub fn slow_start(mut self, window: Duration) -> Self {
        self.settings.slow_start = window;
        self
    }

    /// Draws picks and jitter from a generator that starts from `seed`, for tests that need the same
    /// picks in each run. Each service that this layer makes has a new generator with this seed. It
    /// is shared by all threads, behind a lock. Default: the system's randomness, without a lock.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// The peers to balance over.
    pub fn peers(&self) -> &Peers<Target> {
        &self.peers
    }
}

impl<Target: PeerTarget, R: Clone, Connector> Layer<Connector> for BalanceLayer<Target, R> {
    type Service = Balance<Connector, Target, R>;

    fn layer(&self, connector: Connector) -> Self::Service {
        let Settings {
            eject,
            all_down,
            limits,
            times,
            budget,
            ticket_timeout,
            slow_start,
            seed,
            meter,
        } = self.settings.clone();
        let probe_timeout = self.probe.as_ref().map(Probe::timeout);
        let ticket_timeout = ticket_timeout.or(probe_timeout);
        if !slow_start.is_zero() {
            let window = within_bounds(slow_start);
            self.peers.set.registry.slow_start(window);
        }
        let policy = Arc::new(Policy {
            eject,
            rng: seed.map_or(Rng::PerThread, Rng::seeded),
            ticket_timeouts: Timeouts::new(within_bounds(
                ticket_timeout.unwrap_or(DEFAULT_TICKET_TIMEOUT),
            )),
        });
        let prober = self.probe.clone().map(|probe| {
            let prober = Prober::new(&self.peers.set, &policy, probe);
            prober.keep_running();
            prober
        });
        let shared = Shared {
            policy_id: self.peers.set.registry.policies.add(&policy),
            peers: self.peers.clone(),
            rules: self.rules.clone(),
            policy,
            all_down,
            limits,
            times,
            budget,
            prober,
            meter,
        };
        Balance::from_shared(connector, shared)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("eject", &self.eject)
            .field("all_down", &self.all_down)
            .field("limits", &self.limits)
            .field("times", &self.times)
            .field("has_budget", &self.budget.is_some())
            .field("slow_start", &self.slow_start)
            .field("seed", &self.seed)
            .finish()
    }
}

impl<Target, R: Clone> Clone for BalanceLayer<Target, R> {
    fn clone(&self) -> Self {
        Self {
            peers: self.peers.clone(),
            probe: self.probe.clone(),
            settings: self.settings.clone(),
            rules: self.rules.clone(),
        }
    }
}

impl<Target, R> fmt::Debug for BalanceLayer<Target, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("peers", &self.peers)
            .field("settings", &self.settings)
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}
