//! What a pick is called with.

use std::fmt;

use crate::rng::Rng;
use crate::set::member::Member;
use crate::set::peer::Peer;
use crate::set::snapshot::Snapshot;
use crate::set::snapshot::offer::List;

/// The key of picks that need to know nothing of the request.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoKey;

/// The peers that a [`Pick`](crate::Pick) chooses from.
pub struct Candidates<'a, Target, Key = NoKey> {
    snapshot: &'a Snapshot<Target>,
    list: &'a List,
    key: &'a Key,
    rng: &'a Rng,
}

impl<'a, Target, Key> Candidates<'a, Target, Key> {
    #[inline(always)]
    pub(super) fn new(
        snapshot: &'a Snapshot<Target>,
        list: &'a List,
        key: &'a Key,
        rng: &'a Rng,
    ) -> Self {
        Self {
            snapshot,
            list,
            key,
            rng,
        }
    }

    /// What the pick is to know of the request: see [`BalanceLayer::pick_by`].
    ///
    /// [`BalanceLayer::pick_by`]: crate::BalanceLayer::pick_by
    pub fn key(&self) -> &'a Key {
        self.key
    }

    /// The number of candidates.
    #[inline]
    pub fn len(&self) -> usize {
        self.list.indexes.len()
    }

    /// Whether there is no candidate.
    pub fn is_empty(&self) -> bool {
        self.list.indexes.is_empty()
    }

    /// The name of a candidate.
    ///
    /// # Panics
    ///
    /// If `index` is out of range.
    pub fn name(&self, index: usize) -> &str {
        self.peer(index).name()
    }

    /// The target of a candidate.
    ///
    /// # Panics
    ///
    /// If `index` is out of range.
    pub fn target(&self, index: usize) -> &Target {
        self.peer(index)
    }

    /// The weight of a candidate: [`Peers::set_weight`](crate::Peers::set_weight).
    ///
    /// # Panics
    ///
    /// If `index` is out of range.
    pub fn weight(&self, index: usize) -> u32 {
        self.member(index).weight()
    }

    /// How busy a candidate is: its attempts in flight, and its recent failures, each of which
    /// counts as several attempts, so that failing fast does not look like being idle.
    ///
    /// # Panics
    ///
    /// If `index` is out of range.
    pub fn load(&self, index: usize) -> u32 {
        self.member(index).load()
    }

    /// A uniform draw from `0..n`, from the balancer's generator ([`BalanceLayer::seed`]); 0 if `n`
    /// is 0.
    ///
    /// [`BalanceLayer::seed`]: crate::BalanceLayer::seed
    #[inline]
    pub fn random_index(&self, n: usize) -> usize {
        self.rng.random_index(n)
    }

    /// A uniform draw from `0.0..1.0`, from the same generator.
    pub fn random_unit(&self) -> f64 {
        self.rng.unit()
    }

    /// The running totals of the candidates' weights; none if all weigh the same.
    #[inline]
    pub(super) fn running_weights(&self) -> &'a [u64] {
        &self.list.weights
    }

    #[inline]
    fn peer(&self, index: usize) -> &'a Peer<Target> {
        &self.snapshot.peers()[self.list.indexes[index] as usize]
    }

    pub(super) fn member(&self, index: usize) -> &'a Member {
        self.peer(index).member()
    }
}

impl<Target, Key> fmt::Debug for Candidates<'_, Target, Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = (0..self.len()).map(|index| self.name(index));
        f.debug_list().entries(names).finish()
    }
}
