//! Active checks: peers that are up are probed now and then, unless traffic has just proved them.
//!
//! Without them a peer that gets little traffic is found dead by a caller. One task for each
//! balancer goes round all peers once an interval. What it needs of the requests is one bit a peer,
//! "has answered", which it clears on each round. A request sets it only where it finds it cleared,
//! so on a busy path it is read and not written.
//!
//! The task holds the peer set weakly and ends with the balancer. If its runtime ends first,
//! the next request starts another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::classify::{PeerVerdict, Verdict};
use crate::eject::within_bounds;
use crate::health::Phase;
use crate::member::Member;
use crate::peer::{Occupied, Peer};
use crate::place::eject_checked;
use crate::policy::Policy;
use crate::random::Random;
use crate::set::Set;

/// How far an interval strays, so that the clients of one set do not check it all at once.
const JITTER: f64 = 0.1;

/// How many failed checks in a row eject a peer, unless
/// [`BalanceLayer::fall`](crate::BalanceLayer::fall) says otherwise.
pub const DEFAULT_FALL: u32 = 3;

/// How many successful probes in a row bring a peer back, unless
/// [`BalanceLayer::rise`](crate::BalanceLayer::rise) says otherwise.
pub const DEFAULT_RISE: u32 = 1;

/// Whether and how peers are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    pub(crate) every: Option<Duration>,
    /// Traffic proves nothing that the checks ask for.
    pub(crate) busy: bool,
    pub(crate) fall: u32,
    pub(crate) rise: u32,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            every: None,
            busy: false,
            fall: DEFAULT_FALL,
            rise: DEFAULT_RISE,
        }
    }
}

impl Checks {
    /// How many probes in a row must succeed, and the time between them.
    pub(crate) fn rise(&self, random: &Random) -> (u32, Duration) {
        match self.every {
            Some(every) => (self.rise.max(1), stray(every, random)),
            None => (1, Duration::ZERO),
        }
    }
}

fn stray(interval: Duration, random: &Random) -> Duration {
    let factor = 1.0 + JITTER * (2.0 * random.unit() - 1.0);
    within_bounds(within_bounds(interval).mul_f64(factor))
}

/// A balancer's checks. Lives as long as the balancer.
pub(crate) struct Checker<P> {
    set: Weak<Set<P>>,
    policy: Arc<Policy<P>>,
    every: Duration,
    running: AtomicBool,
}

impl<P> Checker<P> {
    /// `None` if there is to be none.
    pub(crate) fn new(set: &Arc<Set<P>>, policy: &Arc<Policy<P>>) -> Option<Arc<Self>> {
        let every = policy.checks.every.filter(|_| policy.probe.is_some())?;
        Some(Arc::new(Self {
            set: Arc::downgrade(set),
            policy: policy.clone(),
            every,
            running: AtomicBool::new(false),
        }))
    }
}

impl<P: Send + Sync + 'static> Checker<P> {
    /// Starts the task unless it runs.
    pub(crate) fn keep_running(self: &Arc<Self>) {
        if !self.running.load(Ordering::Relaxed) {
            self.start();
        }
    }

    #[cold]
    fn start(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut task = Task {
            checker: Arc::downgrade(self),
            failed: HashMap::new(),
        };
        // Anywhere within the first interval: clients that start together do not check together.
        let first = within_bounds(self.every).mul_f64(self.policy.random.unit());
        runtime.spawn(async move {
            sleep(first).await;
            while let Some(next) = task.round().await {
                sleep_until(next).await;
            }
        });
    }
}

/// The checks of one runtime.
struct Task<P> {
    checker: Weak<Checker<P>>,
    /// Members whose latest checks failed: under which generation, and how many in a row.
    failed: HashMap<u32, (u32, u32)>,
}

/// Dropped with its runtime, it lets another take over.
impl<P> Drop for Task<P> {
    fn drop(&mut self) {
        if let Some(checker) = self.checker.upgrade() {
            checker.running.store(false, Ordering::Release);
        }
    }
}

impl<P: Send + Sync + 'static> Task<P> {
    /// Checks each peer that is up and unproved, all at once, and says when to do so again; `None`
    /// if there is nobody left to do it for.
    async fn round(&mut self) -> Option<Instant> {
        let (mut checks, policy, next) = {
            let checker = self.checker.upgrade()?;
            let set = checker.set.upgrade()?;
            let policy = checker.policy.clone();
            let next = Instant::now() + stray(checker.every, &policy.random);
            let view = set.view();
            self.failed
                .retain(|id, _| view.up().any(|member| member.id == *id));
            let mut checks = JoinSet::new();
            for member in view.up() {
                if member.take_proof() && !policy.checks.busy {
                    self.failed.remove(&member.id);
                } else if let Some(check) = Check::begin(member) {
                    checks.spawn(check.run(policy.clone()));
                }
            }
            (checks, policy, next)
        };
        while let Some(ended) = checks.join_next().await {
            // A probe that panics says nothing of its peer.
            if let Ok(Some((check, verdict))) = ended {
                self.judge(&check, &verdict, &policy);
            }
        }
        Some(next)
    }

    fn judge(&mut self, check: &Check<P>, verdict: &Verdict, policy: &Arc<Policy<P>>) {
        let member = check.member.member();
        // What traffic has proved meanwhile needs no check.
        let proved = member.is_proved() && !policy.checks.busy;
        if verdict.peer == PeerVerdict::Healthy || proved {
            self.failed.remove(&member.id);
            return;
        }
        let (generation, in_a_row) = self.failed.entry(member.id).or_default();
        if *generation != check.generation {
            (*generation, *in_a_row) = (check.generation, 0);
        }
        *in_a_row += 1;
        if *in_a_row >= policy.checks.fall {
            self.failed.remove(&member.id);
            eject_checked(member, check.generation, verdict, policy);
        }
    }
}

/// One check under way: the only one of its peer, whoever asks.
struct Check<P> {
    member: Occupied<P>,
    generation: u32,
}

impl<P> Check<P> {
    fn begin(member: &Arc<Member<P>>) -> Option<Self> {
        if !member.begin_check() {
            return None;
        }
        // From here on its drop ends the check.
        let mut check = Self {
            member: Occupied::new(Peer(member.clone())),
            generation: 0,
        };
        let now = check.member.health.read();
        check.generation = now.generation;
        (now.phase == Phase::Up).then_some(check)
    }
}

impl<P: Send + Sync + 'static> Check<P> {
    async fn run(self, policy: Arc<Policy<P>>) -> Option<(Self, Verdict)> {
        let probe = policy.probe.as_ref()?;
        let verdict = probe.run(self.member.peer().clone()).await;
        Some((self, verdict))
    }
}

impl<P> Drop for Check<P> {
    fn drop(&mut self) {
        self.member.end_check();
    }
}
