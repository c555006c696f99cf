//! Which of the peers that are up gets the attempt.
//!
//! A peer that the request has tried is drawn again, never replaced by its neighbour: "random
//! start, then the next one" gives the neighbour of a dead peer almost twice its share.

use std::sync::Arc;

use crate::member::Member;
use crate::random::Random;
use crate::roster::Roster;

/// How often a draw may hit a peer that was tried before the rest are listed instead.
const REDRAWS: usize = 4;

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
///     fn pick<P>(&self, candidates: &Candidates<'_, P>) -> Option<usize> {
///         let near: Vec<usize> = (0..candidates.len())
///             .filter(|&i| candidates.name(i).starts_with("near-"))
///             .collect();
///         match near.len() {
///             0 => Some(candidates.below(candidates.len())),
///             n => Some(near[candidates.below(n)]),
///         }
///     }
/// }
///
/// let peers = Peers::new([("near-1", 1), ("far-1", 2)])?;
/// let layer = BalanceLayer::new(peers).pick(NearFirst);
/// # Ok::<(), evenhand::PeersError>(())
/// ```
pub trait Pick {
    /// The index of the chosen candidate; `None`, or an index that is not there, for none of them.
    ///
    /// Called for every attempt, on the caller's task; there is at least one candidate. If it
    /// chooses a peer that the request has tried it is asked again, and after some times with only
    /// those that it has not.
    fn pick<P>(&self, candidates: &Candidates<'_, P>) -> Option<usize>;

    /// Whether each candidate is as good as any other, so that a uniform draw may stand for
    /// [`pick`](Self::pick), which then is not asked for most requests. No, unless a pick says so.
    const UNIFORM: bool = false;
}

/// Peers to choose from.
pub struct Candidates<'a, P> {
    roster: &'a Roster<P>,
    indexes: &'a [u32],
    weights: &'a [u64],
    random: &'a Random,
}

impl<'a, P> Candidates<'a, P> {
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.indexes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// The name of one.
    ///
    /// # Panics
    ///
    /// If there is no such candidate.
    pub fn name(&self, index: usize) -> &str {
        &self.member(index).name
    }

    /// What was given for it.
    ///
    /// # Panics
    ///
    /// If there is no such candidate.
    pub fn data(&self, index: usize) -> &P {
        &self.member(index).data
    }

    /// How busy it is: its attempts in flight, and its recent failures, each of which weighs as
    /// much as some attempts, so that failing fast does not look like being idle.
    ///
    /// # Panics
    ///
    /// If there is no such candidate.
    pub fn load(&self, index: usize) -> u32 {
        self.member(index).load()
    }

    /// A uniform draw from `0..n`; nought if `n` is nought.
    #[inline]
    pub fn below(&self, n: usize) -> usize {
        self.random.below(n)
    }

    #[inline]
    fn member(&self, index: usize) -> &'a Arc<Member<P>> {
        &self.roster.members()[self.indexes[index] as usize]
    }

    #[inline]
    fn ask(&self, pick: &impl Pick) -> Option<&'a Arc<Member<P>>> {
        let index = pick.pick(self)?;
        (index < self.len()).then(|| self.member(index))
    }
}

/// Each peer with equal probability. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uniform;

impl Pick for Uniform {
    const UNIFORM: bool = true;

    #[inline]
    fn pick<P>(&self, candidates: &Candidates<'_, P>) -> Option<usize> {
        Some(candidates.below(candidates.len()))
    }
}

/// Each peer in proportion to its weight, which is 1 unless [`Peers::set_weight`] changes it.
///
/// A peer that weighs nothing is never picked, nor probed by a caller's attempt.
///
/// [`Peers::set_weight`]: crate::Peers::set_weight
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted;

impl Pick for Weighted {
    fn pick<P>(&self, candidates: &Candidates<'_, P>) -> Option<usize> {
        let Some(&total) = candidates.weights.last() else {
            return Uniform.pick(candidates);
        };
        let drawn = candidates.below(usize::try_from(total).unwrap_or(usize::MAX)) as u64;
        // The first whose running total is above the draw; one that weighs nothing never is.
        let index = candidates
            .weights
            .partition_point(|&running| running <= drawn);
        (index < candidates.len()).then_some(index)
    }
}

/// Of two random peers the one with fewer attempts in flight (Mitzenmacher: "The power of two
/// choices in randomized load balancing", 2001).
///
/// A failed attempt weighs as much as some in flight, for a while, so a peer that fails fast gets no
/// more than its fair share.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastInFlight;

impl Pick for LeastInFlight {
    fn pick<P>(&self, candidates: &Candidates<'_, P>) -> Option<usize> {
        let n = candidates.len();
        if n < 2 {
            return Some(0);
        }
        let first = candidates.below(n);
        let second = (first + 1 + candidates.below(n - 1)) % n;
        // Of equals the first: it was drawn at random.
        let (better, worse) = if candidates.load(second) < candidates.load(first) {
            (second, first)
        } else {
            (first, second)
        };
        candidates.member(worse).note_passed_over();
        Some(better)
    }
}

/// The pick's choice from those of `indexes`.
pub(crate) fn choose_any<'a, P>(
    pick: &impl Pick,
    random: &'a Random,
    roster: &'a Roster<P>,
    indexes: &'a [u32],
    weights: &'a [u64],
) -> Option<&'a Arc<Member<P>>> {
    if indexes.is_empty() {
        return None;
    }
    let all = Candidates {
        roster,
        indexes,
        weights,
        random,
    };
    all.ask(pick)
}

/// The pick's choice from those of `indexes` that are not `excluded`.
pub(crate) fn choose<P>(
    pick: &impl Pick,
    random: &Random,
    roster: &Roster<P>,
    indexes: &[u32],
    weights: &[u64],
    excluded: &[u32],
) -> Option<Arc<Member<P>>> {
    if indexes.is_empty() {
        return None;
    }
    let all = Candidates {
        roster,
        indexes,
        weights,
        random,
    };
    for _ in 0..REDRAWS {
        let member = all.ask(pick)?;
        if excluded.is_empty() || !excluded.contains(&member.id) {
            return Some(member.clone());
        }
    }
    let left = |&index: &u32| roster.at(&[index]).all(|m| !excluded.contains(&m.id));
    let indexes: Vec<u32> = indexes.iter().copied().filter(left).collect();
    if indexes.is_empty() {
        return None;
    }
    let weights = if weights.is_empty() {
        Vec::new()
    } else {
        running_weights(roster, &indexes)
    };
    let rest = Candidates {
        roster,
        indexes: &indexes,
        weights: &weights,
        random,
    };
    rest.ask(pick).cloned()
}

/// Running totals of the weights of the members at these indexes.
pub(crate) fn running_weights<P>(roster: &Roster<P>, indexes: &[u32]) -> Vec<u64> {
    let mut total = 0;
    let weigh = |member: &Arc<Member<P>>| {
        total += u64::from(member.weight());
        total
    };
    roster.at(indexes).map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;

    const DRAWS: u32 = 1_000_000;

    /// A roster, and the indexes of all that are in it.
    fn all(n: u32) -> (Arc<Roster<()>>, Vec<u32>) {
        let member = |id: u32| Arc::new(Member::new(id, id.to_string().into(), (), Weak::new()));
        (Roster::new((0..n).map(member).collect()), (0..n).collect())
    }

    /// The 99.9th percentile of chi-squared for `k` degrees of freedom (Wilson and Hilferty).
    fn chi_squared_limit(k: f64) -> f64 {
        k * (1.0 - 2.0 / (9.0 * k) + 3.09 * (2.0 / (9.0 * k)).sqrt()).powi(3)
    }

    /// Shares of a million seeded picks, against what each member should get.
    fn assert_shares(
        pick: &impl Pick,
        (roster, indexes): &(Arc<Roster<()>>, Vec<u32>),
        excluded: &[u32],
        fair: &[f64],
    ) {
        let weights = running_weights(roster, indexes);
        let random = Random::seeded(indexes.len() as u64);
        let mut picks = vec![0_u32; indexes.len()];
        for _ in 0..DRAWS {
            let chosen = choose(pick, &random, roster, indexes, &weights, excluded).unwrap();
            picks[chosen.id as usize] += 1;
        }
        let total: f64 = fair.iter().sum();
        let mut chi = 0.0;
        let mut some = 0;
        for (&picked, share) in picks.iter().zip(fair) {
            let expected = f64::from(DRAWS) * share / total;
            if expected == 0.0 {
                assert_eq!(picked, 0);
            } else {
                some += 1;
                chi += (f64::from(picked) - expected).powi(2) / expected;
            }
        }
        if some > 1 {
            let limit = chi_squared_limit(f64::from(some - 1));
            assert!(chi < limit, "{} peers: {chi} of {limit}", indexes.len());
        }
    }

    #[test]
    fn picks_are_uniform_with_none_one_a_third_and_all_but_one_excluded() {
        for n in [2, 3, 10, 100] {
            let members = all(n);
            let sets: [Vec<u32>; 4] = [vec![], vec![0], (0..n / 3).collect(), (1..n).collect()];
            for excluded in sets {
                let fair: Vec<f64> = (0..n)
                    .map(|id| if excluded.contains(&id) { 0.0 } else { 1.0 })
                    .collect();
                assert_shares(&Uniform, &members, &excluded, &fair);
            }
        }
    }

    #[test]
    fn weighted_picks_are_in_proportion_and_nothing_weighs_nothing() {
        let members = all(4);
        for (member, weight) in members.0.members().iter().zip([1, 0, 3, 6]) {
            member.set_weight(weight);
        }
        assert_shares(&Weighted, &members, &[], &[1.0, 0.0, 3.0, 6.0]);
        assert_shares(&Weighted, &members, &[3], &[1.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn where_all_weigh_nothing_none_is_picked() {
        let (roster, indexes) = all(3);
        let none = |member: &Arc<Member<()>>| member.set_weight(0);
        roster.members().iter().for_each(none);
        let weights = running_weights(&roster, &indexes);
        let random = Random::seeded(1);
        assert!(choose(&Weighted, &random, &roster, &indexes, &weights, &[]).is_none());
    }

    #[test]
    fn idle_peers_share_evenly_under_least_in_flight() {
        for n in [2, 3, 10] {
            assert_shares(&LeastInFlight, &all(n), &[], &vec![1.0; n as usize]);
        }
    }

    #[test]
    fn the_busier_of_two_is_passed_over() {
        let (roster, indexes) = all(2);
        roster.members()[0].in_flight.enter();
        let random = Random::seeded(1);
        for _ in 0..100 {
            let chosen = choose(&LeastInFlight, &random, &roster, &indexes, &[], &[]).unwrap();
            assert_eq!(chosen.id, 1);
        }
    }

    #[test]
    fn failing_fast_attracts_no_traffic() {
        let (roster, indexes) = all(3);
        // The good ones always have some work in flight; the bad one never has.
        roster.members()[1].in_flight.enter();
        roster.members()[2].in_flight.enter();
        let random = Random::seeded(5);
        let mut on_bad = 0;
        for _ in 0..30_000 {
            let member = choose(&LeastInFlight, &random, &roster, &indexes, &[], &[]).unwrap();
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

    #[test]
    fn nothing_is_picked_from_nothing() {
        let random = Random::seeded(0);
        let (roster, indexes) = all(2);
        assert!(choose(&Uniform, &random, &roster, &[], &[], &[]).is_none());
        assert!(choose(&Uniform, &random, &roster, &indexes, &[], &[0, 1]).is_none());
    }
}
