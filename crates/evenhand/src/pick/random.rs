//! Picks that draw at random.

use super::Pick;
use super::candidates::Candidates;

/// Each peer with equal probability. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uniform;

impl<Key> Pick<Key> for Uniform {
    const IS_RANDOM: bool = true;

    #[inline]
    fn pick<Target>(&self, candidates: &Candidates<'_, Target, Key>) -> Option<usize> {
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

impl<Key> Pick<Key> for Weighted {
    const IS_RANDOM: bool = true;

    fn pick<Target>(&self, candidates: &Candidates<'_, Target, Key>) -> Option<usize> {
        let weights = candidates.running_weights();
        let Some(&total) = weights.last() else {
            return Uniform.pick(candidates);
        };
        let drawn = candidates.random_index(usize::try_from(total).unwrap_or(usize::MAX)) as u64;
        // The first whose running total is above the draw, which one of weight 0 never is.
        let index = weights.partition_point(|&running| running <= drawn);
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

impl<Key> Pick<Key> for LeastInFlight {
    const IS_RANDOM: bool = true;

    fn pick<Target>(&self, candidates: &Candidates<'_, Target, Key>) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pick::{NoKey, choose};
    use crate::rng::Rng;
    use crate::set::Set;
    use crate::set::ledger::Join;
    use crate::set::peer::Peer;

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
            let chosen = choose(pick, &NoKey, &rng, &snapshot, snapshot.offer());
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
        let rng = Rng::seeded(1);
        assert!(choose(&Weighted, &NoKey, &rng, &snapshot, snapshot.offer()).is_none());
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
            let chosen = choose(&LeastInFlight, &NoKey, &rng, &snapshot, snapshot.offer());
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
