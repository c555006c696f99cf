//! Which of the peers that are up gets the attempt.

use crate::random::Random;

/// How often a draw may hit a peer that is excluded before the rest are listed instead.
const REDRAWS: usize = 4;

/// A uniform draw from those of `up` that are not in `excluded`.
///
/// Excluded peers are drawn again, never replaced by their neighbour: "random start, then the next
/// one" gives the neighbour of a dead peer almost twice its share.
pub(crate) fn uniform(random: &Random, up: &[u32], excluded: &[u32]) -> Option<u32> {
    if excluded.is_empty() {
        return up.get(random.below(up.len())).copied();
    }
    for _ in 0..REDRAWS {
        let index = *up.get(random.below(up.len()))?;
        if !excluded.contains(&index) {
            return Some(index);
        }
    }
    let left = || up.iter().copied().filter(|index| !excluded.contains(index));
    left().nth(random.below(left().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 99.9th percentile of chi-squared for `k` degrees of freedom (Wilson and Hilferty).
    fn chi_squared_limit(k: f64) -> f64 {
        k * (1.0 - 2.0 / (9.0 * k) + 3.09 * (2.0 / (9.0 * k)).sqrt()).powi(3)
    }

    fn assert_uniform(n: u32, excluded: &[u32]) {
        const DRAWS: u32 = 1_000_000;
        let up: Vec<u32> = (0..n).collect();
        let random = Random::seeded(u64::from(n));
        let mut picks = vec![0_u32; n as usize];
        for _ in 0..DRAWS {
            picks[uniform(&random, &up, excluded).unwrap() as usize] += 1;
        }
        let left = n as usize - excluded.len();
        let fair = f64::from(DRAWS) / left as f64;
        assert!(excluded.iter().all(|&index| picks[index as usize] == 0));
        let shares = (0..n).filter(|index| !excluded.contains(index));
        let chi: f64 = shares
            .map(|i| (f64::from(picks[i as usize]) - fair).powi(2) / fair)
            .sum();
        if left > 1 {
            let limit = chi_squared_limit(left as f64 - 1.0);
            assert!(
                chi < limit,
                "{n} peers, {} excluded: {chi} of {limit}",
                excluded.len()
            );
        }
    }

    #[test]
    fn picks_are_uniform_with_none_one_a_third_and_all_but_one_excluded() {
        for n in [2, 3, 10, 100] {
            assert_uniform(n, &[]);
            assert_uniform(n, &[0]);
            assert_uniform(n, &(0..n / 3).collect::<Vec<_>>());
            assert_uniform(n, &(1..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        let random = Random::seeded(0);
        assert_eq!(uniform(&random, &[], &[]), None);
        assert_eq!(uniform(&random, &[1, 2], &[2, 1]), None);
    }
}
