//! Which of the peers that are up gets the attempt.
//!
//! A peer that the request has tried is drawn again, never replaced by its neighbour: "random
//! start, then the next one" gives the neighbour of a dead peer almost twice its share.

use std::sync::Arc;

use crate::member::Member;
use crate::random::Random;

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
}

/// Peers to choose from.
pub struct Candidates<'a, P> {
    members: &'a [Arc<Member<P>>],
    weights: &'a [u64],
    random: &'a Random,
}

impl<P> Candidates<'_, P> {
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The name of one.
    ///
    /// # Panics
    ///
    /// If there is no such candidate.
    pub fn name(&self, index: usize) -> &str {
        &self.members[index].name
    }

    /// What was given for it.
    ///
    /// # Panics
    ///
    /// If there is no such candidate.
    pub fn data(&self, index: usize) -> &P {
        &self.members[index].data
    }

    /// How busy it is: its attempts in flight, and its recent failures, each of which weighs as
    /// much as some attempts, so that failing fast does not look like being idle.
    ///
    /// # Panics
    ///
    /// If there is no such candidate.
    pub fn load(&self, index: usize) -> u32 {
        self.members[index].load()
    }

    /// A uniform draw from `0..n`; nought if `n` is nought.
    #[inline]
    pub fn below(&self, n: usize) -> usize {
        self.random.below(n)
    }
}

/// Each peer with equal probability. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uniform;

impl Pick for Uniform {
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
        candidates.members[worse].note_passed_over();
        Some(better)
    }
}

/// The pick's choice from those of `up`.
#[inline]
pub(crate) fn choose_any<'a, P, K: Pick>(
    pick: &K,
    random: &Random,
    up: &'a [Arc<Member<P>>],
    weights: &[u64],
) -> Option<&'a Arc<Member<P>>> {
    if up.is_empty() {
        return None;
    }
    let all = Candidates {
        members: up,
        weights,
        random,
    };
    up.get(pick.pick(&all)?)
}

/// The pick's choice from those of `up` that are not `excluded`.
pub(crate) fn choose<'a, P, K: Pick>(
    pick: &K,
    random: &Random,
    up: &'a [Arc<Member<P>>],
    weights: &[u64],
    excluded: &[u32],
) -> Option<Chosen<'a, P>> {
    let all = Candidates {
        members: up,
        weights,
        random,
    };
    if up.is_empty() {
        return None;
    }
    for _ in 0..REDRAWS {
        let member = up.get(pick.pick(&all)?)?;
        if excluded.is_empty() || !excluded.contains(&member.id) {
            return Some(Chosen::Seen(member));
        }
    }
    let left = |member: &&Arc<Member<P>>| !excluded.contains(&member.id);
    let members: Vec<_> = up.iter().filter(left).cloned().collect();
    let weights = if weights.is_empty() {
        Vec::new()
    } else {
        running_weights(&members)
    };
    if members.is_empty() {
        return None;
    }
    let rest = Candidates {
        members: &members,
        weights: &weights,
        random,
    };
    let index = pick.pick(&rest)?;
    members.into_iter().nth(index).map(Chosen::Listed)
}

/// A member that was chosen, without a count of its own where the view's will do.
pub(crate) enum Chosen<'a, P> {
    Seen(&'a Arc<Member<P>>),
    Listed(Arc<Member<P>>),
}

impl<P> Chosen<'_, P> {
    pub(crate) fn into_member(self) -> Arc<Member<P>> {
        match self {
            Self::Seen(member) => member.clone(),
            Self::Listed(member) => member,
        }
    }
}

/// Running totals of the members' weights.
pub(crate) fn running_weights<P>(members: &[Arc<Member<P>>]) -> Vec<u64> {
    let mut total = 0;
    let weigh = |member: &Arc<Member<P>>| {
        total += u64::from(member.weight());
        total
    };
    members.iter().map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;

    const DRAWS: u32 = 1_000_000;

    fn members(n: u32) -> Vec<Arc<Member<()>>> {
        let member = |id: u32| Arc::new(Member::new(id, id.to_string().into(), (), Weak::new()));
        (0..n).map(member).collect()
    }

    /// The 99.9th percentile of chi-squared for `k` degrees of freedom (Wilson and Hilferty).
    fn chi_squared_limit(k: f64) -> f64 {
        k * (1.0 - 2.0 / (9.0 * k) + 3.09 * (2.0 / (9.0 * k)).sqrt()).powi(3)
    }

    /// Shares of a million seeded picks, against what each member should get.
    fn assert_shares(
        pick: &impl Pick,
        members: &[Arc<Member<()>>],
        excluded: &[u32],
        fair: &[f64],
    ) {
        let weights = running_weights(members);
        let random = Random::seeded(members.len() as u64);
        let mut picks = vec![0_u32; members.len()];
        for _ in 0..DRAWS {
            let chosen = choose(pick, &random, members, &weights, excluded).unwrap();
            picks[chosen.into_member().id as usize] += 1;
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
            assert!(chi < limit, "{} peers: {chi} of {limit}", members.len());
        }
    }

    #[test]
    fn picks_are_uniform_with_none_one_a_third_and_all_but_one_excluded() {
        for n in [2, 3, 10, 100] {
            let members = members(n);
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
        let members = members(4);
        for (member, weight) in members.iter().zip([1, 0, 3, 6]) {
            member.set_weight(weight);
        }
        assert_shares(&Weighted, &members, &[], &[1.0, 0.0, 3.0, 6.0]);
        assert_shares(&Weighted, &members, &[3], &[1.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn where_all_weigh_nothing_none_is_picked() {
        let members = members(3);
        members.iter().for_each(|member| member.set_weight(0));
        let weights = running_weights(&members);
        let random = Random::seeded(1);
        assert!(choose(&Weighted, &random, &members, &weights, &[]).is_none());
    }

    #[test]
    fn idle_peers_share_evenly_under_least_in_flight() {
        for n in [2, 3, 10] {
            assert_shares(&LeastInFlight, &members(n), &[], &vec![1.0; n as usize]);
        }
    }

    #[test]
    fn the_busier_of_two_is_passed_over() {
        let members = members(2);
        members[0].in_flight.enter();
        let random = Random::seeded(1);
        for _ in 0..100 {
            let chosen = choose(&LeastInFlight, &random, &members, &[], &[]).unwrap();
            assert_eq!(chosen.into_member().id, 1);
        }
    }

    #[test]
    fn failing_fast_attracts_no_traffic() {
        let members = members(3);
        // The good ones always have some work in flight; the bad one never has.
        members[1].in_flight.enter();
        members[2].in_flight.enter();
        let random = Random::seeded(5);
        let mut on_bad = 0;
        for _ in 0..30_000 {
            let member = choose(&LeastInFlight, &random, &members, &[], &[])
                .unwrap()
                .into_member();
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
        let members = members(2);
        assert!(choose::<(), _>(&Uniform, &random, &[], &[], &[]).is_none());
        assert!(choose(&Uniform, &random, &members, &[], &[0, 1]).is_none());
    }
}
