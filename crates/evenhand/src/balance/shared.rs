//! What the clones of one balancer share.

use std::ops::Deref;
use std::sync::Arc;

use super::all_down::AllDown;
use super::time::TimeLimits;
use crate::attempt::asked::Asked;
use crate::attempt::chooser::Chooser;
use crate::observe::meter::Meter;
use crate::peers::Peers;
use crate::probe::prober::Prober;
use crate::set::policies::{Policy, PolicyId};

/// The most peers that may have executed one request, unless [`BalanceLayer::max_unknown`] says
/// otherwise: 3.
///
/// [`BalanceLayer::max_unknown`]: crate::BalanceLayer::max_unknown
pub const DEFAULT_MAX_UNKNOWN: usize = 3;

/// How many peers refuse a request before it ends, unless [`BalanceLayer::max_refusals`] says
/// otherwise: 3.
///
/// [`BalanceLayer::max_refusals`]: crate::BalanceLayer::max_refusals
pub const DEFAULT_MAX_REFUSALS: usize = 3;

/// Whether one more retry may be made.
pub(crate) type Budget = Arc<dyn Fn() -> bool + Send + Sync>;

/// The most that one request may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Attempts in all.
    pub(crate) attempts: u32,
    /// Peers that may have executed it.
    pub(crate) unknown: usize,
    /// Peers that refuse it.
    pub(crate) refusals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts: u32::MAX,
            unknown: DEFAULT_MAX_UNKNOWN,
            refusals: DEFAULT_MAX_REFUSALS,
        }
    }
}

pub(crate) struct Shared<Target, Rules> {
    pub(crate) peers: Peers<Target>,
    pub(crate) rules: Rules,
    pub(crate) policy: Arc<Policy>,
    pub(crate) policy_id: PolicyId,
    pub(crate) all_down: AllDown,
    pub(crate) limits: Limits,
    pub(crate) times: TimeLimits,
    pub(crate) budget: Option<Budget>,
    pub(crate) prober: Option<Prober<Target>>,
    pub(crate) meter: Meter,
}

impl<Target, Rules> Shared<Target, Rules> {
    /// Where the next permit of a request that has asked these peers comes from.
    #[inline]
    pub(crate) fn chooser<'a, P, Key>(
        &'a self,
        (pick, key): (&'a P, &'a Key),
        asked: Option<&'a Asked>,
    ) -> Chooser<'a, Target, P, Key> {
        Chooser {
            set: &self.peers.set,
            pick,
            key,
            rng: &self.policy.rng,
            asked,
        }
    }

    /// Asks the retry budget, if there is one.
    pub(crate) fn has_budget(&self) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget())
    }
}

impl<Target, Rules> Drop for Shared<Target, Rules> {
    fn drop(&mut self) {
        self.peers.set.registry.policies.remove(self.policy_id);
    }
}

/// A clone's reference to what all clones share, and each request's.
///
/// A reference count that many threads change costs more than all else on the healthy path. So a
/// clone that is called a second time makes a count that only its own requests share. A clone that
/// serves one request, as many do, uses the count of the clone it was made from, and allocates
/// nothing.
#[expect(
    clippy::redundant_allocation,
    reason = "the outer count is the point: see above"
)]
pub(crate) struct Handle<Target, Rules>(Arc<Arc<Shared<Target, Rules>>>);

impl<Target, Rules> Handle<Target, Rules> {
    pub(crate) fn new(shared: Shared<Target, Rules>) -> Self {
        Self(Arc::new(Arc::new(shared)))
    }

    /// The same with a count that no other clone shares.
    pub(crate) fn own(&self) -> Self {
        Self(Arc::new(Arc::clone(&self.0)))
    }
}

impl<Target, Rules> Clone for Handle<Target, Rules> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Target, Rules> Deref for Handle<Target, Rules> {
    type Target = Shared<Target, Rules>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
