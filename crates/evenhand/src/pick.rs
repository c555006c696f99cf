//! Which of the peers that are up gets the attempt.
//!
//! A peer that the request has tried is drawn again, never replaced by its neighbour: "random
//! start, then the next one" gives the neighbour of a dead peer almost twice its share.

use crate::rng::Rng;
use crate::set::member::Member;
use crate::set::peer::Peer;
use crate::set::snapshot::{Snapshot, running_weights};

/// Chooses one of the peers that are up.
///
/// ```
/// use evenhand::{BalanceLayer, Candidates, Peers, Pick};
///
/// /// Prefers the peers whose names say that they are near.
/// #[derive(Clone)]
/// struct NearFirst;
///
/// impl Pick for NearFirst {
///     fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize> {
///         let near: Vec<usize> = (0..candidates.len())
///             .filter(|&i| candidates.name(i).starts_with("near-"))
///             .collect();
///         match near.len() {
///             0 => Some(candidates.random_index(candidates.len())),
///             n => Some(near[candidates.random_index(n)]),
///         }
///     }
/// }
///
/// let peers = Peers::new([("near-1", 1), ("far-1", 2)])?;
/// let layer = BalanceLayer::new(peers).pick(NearFirst);
/// # Ok::<(), evenhand::PeersError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot pick peers",
    label = "no `Pick`",
    note = "`Uniform`, `Weighted` and `LeastInFlight` can; a closure cannot, as a `Pick` is generic over the peers' type"
)]
pub trait Pick {
    /// The index of the chosen candidate. `None`, or an index out of range, chooses no peer, and the
    /// request goes on as if no peer were up.
    ///
    /// Called for every attempt, on the caller's task, with at least one candidate. A candidate may
    /// have been ejected a moment ago or have been tried by the request. If it is chosen, `pick` is
    /// called again, and after some calls with only the peers that are up and untried.
    fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize>;
}

/// The peers that a [`Pick`] chooses from.
pub struct Candidates<'a, Target> {
    snapshot: &'a Snapshot<Target>,
    indexes: &'a [u32],
    weights: &'a [u64],
    rng: &'a Rng,
}

impl<'a, Target> Candidates<'a, Target> {
    /// The number of candidates.
    #[inline]
    pub fn len(&self) -> usize {
        self.indexes.len()
    }

    /// Whether there is no candidate.
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty()
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

    #[inline]
    fn peer(&self, index: usize) -> &'a Peer<Target> {
        &self.snapshot.peers()[self.indexes[index] as usize]
    }

    fn member(&self, index: usize) -> &'a Member {
        self.peer(index).member()
    }
}

impl<Target> std::fmt::Debug for Candidates<'_, Target> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = (0..self.len()).map(|index| self.name(index));
        f.debug_list().entries(names).finish()
    }
}

/// Each peer with equal probability. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uniform;

impl Pick for Uniform {
    #[inline]
    fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize> {
        Some(candidates.random_index(candidates.len()))
    }
}

/// Each peer in proportion to its weight, which is 1 unless [`Peers::set_weight`] changes it.
///
/// A peer of weight 0 is never picked, nor probed by a caller's attempt. If each peer that is up has
/// weight 0, requests fail with [`Error::ZeroWeight`](crate::Error::ZeroWeight).
///
/// [`Peers::set_weight`]: crate::Peers::set_weight
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted;

impl Pick for Weighted {
    fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize> {
        let Some(&total) = candidates.weights.last() else {
            return Uniform.pick(candidates);
        };
        let drawn = candidates.random_index(usize::try_from(total).unwrap_or(usize::MAX)) as u64;
        // The first whose running total is above the draw, which one of weight 0 never is.
        let index = candidates
            .weights
            .partition_point(|&running| running <= drawn);
        (index < candidates.len()).then_some(index)
    }
}

/// Of two random peers, the one with fewer attempts in flight (Mitzenmacher: "The power of two
/// choices in randomized load balancing", 2001).
///
/// A failed attempt counts as several in flight for a while, so a peer that fails fast gets no more
/// than its fair share.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastInFlight;

impl Pick for LeastInFlight {
    fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize> {
        let n = candidates.len();
        if n < 2 {
            return Some(0);
        }
        let first = candidates.random_index(n);
        let second = (first + 1 + candidates.random_index(n - 1)) % n;
        // Of equals the first, which was drawn at random.
        let (better, worse) = if candidates.load(second) < candidates.load(first) {
            (second, first)
        } else {
            (first, second)
        };
        candidates.member(worse).note_passed_over();
        Some(better)
    }
}

/// What the pick chooses from the peers at these indexes, whose running weights are given.
#[inline]
pub(crate) fn choose<'a, Target>(
    pick: &impl Pick,
    rng: &Rng,
    snapshot: &'a Snapshot<Target>,
    indexes: &[u32],
    weights: &[u64],
) -> Option<&'a Peer<Target>> {
    if indexes.is_empty() {
        return None;
    }
    let candidates = Candidates {
        snapshot,
        indexes,
        weights,
        rng,
    };
    let index = *indexes.get(pick.pick(&candidates)?)?;
    snapshot.peers().get(index as usize)
}

/// As [`choose`], for a list made for this pick.
pub(crate) fn choose_exactly<'a, Target>(
    pick: &impl Pick,
    rng: &Rng,
    snapshot: &'a Snapshot<Target>,
    indexes: &[u32],
) -> Option<&'a Peer<Target>> {
    let weights = running_weights(snapshot.peers(), indexes);
    choose(pick, rng, snapshot, indexes, &weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::Set;
    use crate::set::ledger::Join;

    const DRAWS: u32 = 1_000_000;

    fn set(n: usize) -> Set<()> {
        let set = Set::new(None);
        let peers = (0..n).map(|number| (number.to_string().into(), Some(())));
        set.update(Join::AtOnce, peers, false, |(), ()| false)
            .unwrap();
        set
    }

    /// How many of the draws choose each peer.
    fn draw(pick: &impl Pick, set: &Set<()>, draws: u32) -> Vec<u32> {
        let snapshot = set.snapshot();
        let rng = Rng::seeded(snapshot.peers().len() as u64);
        let mut picks = vec![0; snapshot.peers().len()];
        for _ in 0..draws {
            let chosen = choose(
                pick,
                &rng,
                &snapshot,
                snapshot.offered(),
                snapshot.weights(),
            );
            picks[chosen.unwrap().member().id as usize] += 1;
        }
        picks
    }

    #[test]
    fn weighted_picks_are_proportional_to_weights() {
        let set = set(4);
        let weights = [1, 0, 3, 6];
        for (peer, weight) in set.snapshot().peers().iter().zip(weights) {
            peer.member().set_weight(weight);
        }
        set.refresh();
        let picks = draw(&Weighted, &set, DRAWS);
        for (picked, weight) in picks.into_iter().zip(weights) {
            let fair = f64::from(DRAWS) * f64::from(weight) / 10.0;
            // Five standard deviations.
            let bound = 5.0 * (fair * (1.0 - fair / f64::from(DRAWS))).sqrt();
            assert!(
                (f64::from(picked) - fair).abs() <= bound,
                "{picked} of {fair}"
            );
        }
    }

    #[test]
    fn zero_weights_give_no_pick() {
        let set = set(3);
        let weightless = |peer: &Peer<()>| peer.member().set_weight(0);
        set.snapshot().peers().iter().for_each(weightless);
        set.refresh();
        let snapshot = set.snapshot();
        let (offered, weights) = (snapshot.offered(), snapshot.weights());
        assert!(choose(&Weighted, &Rng::seeded(1), &snapshot, offered, weights).is_none());
    }

    #[test]
    fn least_in_flight_avoids_the_busier_of_two() {
        let set = set(2);
        set.snapshot().peers()[0].member().in_flight.enter();
        assert_eq!(draw(&LeastInFlight, &set, 100), [0, 100]);
    }

    #[test]
    fn failing_fast_attracts_no_traffic() {
        let set = set(3);
        let snapshot = set.snapshot();
        // The healthy peers always have work in flight. The failing one never has.
        snapshot.peers()[1].member().in_flight.enter();
        snapshot.peers()[2].member().in_flight.enter();
        let rng = Rng::seeded(5);
        let mut on_bad = 0;
        for _ in 0..30_000 {
            let chosen = choose(&LeastInFlight, &rng, &snapshot, snapshot.offered(), &[]);
            let member = chosen.unwrap().member();
            if member.id == 0 {
                on_bad += 1;
                member.note_failure();
            }
        }
        assert!(
            (1_000..10_000).contains(&on_bad),
            "{on_bad} of 30000, fair would be 10000"
        );
    }
}
