//! Active checks: peers that are up are probed now and then, unless traffic has just proved them.
//!
//! Without them a caller finds that a peer with little traffic is dead. A task goes round all peers
//! once an interval. What it needs of the requests is one bit a peer, "proved", which it clears on
//! each round. A request sets the bit only where it finds it cleared, so on a busy path it is read
//! and not written.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{ActiveChecks, Context, Probe};
use crate::attempt::ejection;
use crate::classify::{PeerVerdict, Verdict};
use crate::interval::{with_jitter, within_bounds};
use crate::set::health::Phase;
use crate::set::peer::{InFlightPeer, Peer};
use crate::set::policies::Policy;
use crate::set::registry::Registry;

/// Checks peers until the context is gone. Ends at once if there are no active checks.
pub(super) async fn run<Target: Send + Sync + 'static>(context: Weak<Context<Target>>) {
    let (first, checks, _checker) = {
        let Some(context) = context.upgrade() else {
            return;
        };
        let Some(checks) = context.probe.checks else {
            return;
        };
        // Anywhere within the first interval: clients that start together do not check together.
        let first = within_bounds(checks.interval).mul_f64(context.policy.rng.unit());
        let registry = context.set.registry.clone();
        (first, checks, Checker::new(registry))
    };
    sleep(first).await;
    let mut failed = Failed {
        checks,
        in_a_row: HashMap::new(),
    };
    while let Some(next) = failed.round(&context).await {
        sleep_until(next).await;
    }
}

/// Counts the task while it lives.
struct Checker(Arc<Registry>);

impl Checker {
    fn new(registry: Arc<Registry>) -> Self {
        registry.add_checker();
        Self(registry)
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.0.remove_checker();
    }
}

/// The peers whose latest checks failed.
struct Failed {
    checks: ActiveChecks,
    /// By the peer's id: the generation that the checks belong to, and how many failed in a row.
    in_a_row: HashMap<u64, (u32, u32)>,
}

impl Failed {
    /// Checks each peer that is up and unproved, all at once. Returns when the next round is due;
    /// `None` if the context is gone.
    async fn round<Target>(&mut self, context: &Weak<Context<Target>>) -> Option<Instant>
    where
        Target: Send + Sync + 'static,
    {
        let (mut checks, policy, next) = {
            let context = context.upgrade()?;
            let policy = context.policy.clone();
            let next = Instant::now() + with_jitter(self.checks.interval, &policy.rng);
            let snapshot = context.set.snapshot();
            self.in_a_row
                .retain(|id, _| snapshot.up().any(|peer| peer.member().id == *id));
            let mut checks = JoinSet::new();
            for peer in snapshot.up() {
                if peer.member().take_proof() && !self.checks.under_traffic {
                    self.in_a_row.remove(&peer.member().id);
                } else if let Some(check) = Check::begin(peer) {
                    checks.spawn(check.run(context.probe.clone()));
                }
            }
            (checks, policy, next)
        };
        while let Some(ended) = checks.join_next().await {
            // A probe that panics says nothing of its peer.
            if let Ok((check, verdict)) = ended {
                self.judge(&check, &verdict, &policy);
            }
        }
        Some(next)
    }

    fn judge<Target>(&mut self, check: &Check<Target>, verdict: &Verdict, policy: &Policy) {
        let member = check.peer.member();
        // What traffic has proved meanwhile needs no check.
        let proved = member.is_proved() && !self.checks.under_traffic;
        if verdict.peer == PeerVerdict::Healthy || proved {
            member.add_proof();
            self.in_a_row.remove(&member.id);
            return;
        }
        if matches!(verdict.peer, PeerVerdict::Neutral | PeerVerdict::Suspect) {
            return;
        }
        let (generation, failed) = self.in_a_row.entry(member.id).or_default();
        if *generation != check.generation {
            (*generation, *failed) = (check.generation, 0);
        }
        *failed += 1;
        if *failed >= self.checks.fall {
            self.in_a_row.remove(&member.id);
            ejection::eject(&check.peer, check.generation, verdict, policy);
        }
    }
}

/// One check in flight: the only one of its peer, whichever balancer checks it.
struct Check<Target> {
    peer: InFlightPeer<Target>,
    generation: u32,
}

impl<Target> Check<Target> {
    fn begin(peer: &Peer<Target>) -> Option<Self> {
        if !peer.member().begin_check() {
            return None;
        }
        // From here on its drop ends the check.
        let mut check = Self {
            peer: InFlightPeer::new(peer.clone()),
            generation: 0,
        };
        let now = check.peer.member().health.read();
        check.generation = now.generation;
        (now.phase == Phase::Up).then_some(check)
    }
}

impl<Target: Send + Sync + 'static> Check<Target> {
    async fn run(self, probe: Probe<Target>) -> (Self, Verdict) {
        let verdict = probe.run(Peer::clone(&self.peer)).await;
        (self, verdict)
    }
}

impl<Target> Drop for Check<Target> {
    fn drop(&mut self) {
        self.peer.member().end_check();
    }
}
