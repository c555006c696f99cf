//! Interleaved rounds and their medians.
//!
//! A shared machine is now slow and now fast, for longer than one case takes. So each round goes
//! through all cases in a new random order, cases of the same size next to each other, and a ratio
//! is the median of the rounds' ratios, not the ratio of two medians: both of its halves were
//! measured within some milliseconds of each other.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::one_task::Run;

/// A case under measurement.
pub struct Timed {
    run: Run,
    /// Calls a round, so that a round takes about as long as was asked.
    calls: u64,
    /// Nanoseconds a call, one for each round.
    pub rounds: Vec<f64>,
}

impl Timed {
    /// Finds how many calls (a multiple of `step`) fill `length`.
    pub fn new(mut run: Run, length: Duration, step: u64) -> Self {
        let mut calls = step;
        loop {
            // The fastest of some: one that was interrupted would leave too few calls a round.
            let times = (0..3).map(|_| time(&mut run, calls));
            let took = times.min().unwrap_or_default();
            if took >= length / 4 || calls > 1 << 30 {
                let a_call = took.as_secs_f64() / calls as f64;
                let fill = (length.as_secs_f64() / a_call) as u64;
                return Self {
                    run,
                    calls: (fill / step).max(1) * step,
                    rounds: Vec::new(),
                };
            }
            calls *= 2;
        }
    }

    fn round(&mut self) {
        // What ran before may have taken the caches and the branch predictor.
        let _ = time(&mut self.run, self.calls / 10);
        let took = time(&mut self.run, self.calls);
        self.rounds
            .push(took.as_secs_f64() * 1e9 / self.calls as f64);
    }

    /// The median of its rounds.
    pub fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// The median of the rounds' ratios to another case.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(self.ratios(other))
    }

    /// The middle half of the rounds' ratios to another case: where it begins and where it ends.
    pub fn middle_half_to(&self, other: &Self) -> [f64; 2] {
        middle_half(self.ratios(other))
    }

    fn ratios(&self, other: &Self) -> Vec<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        pairs.map(|(mine, theirs)| mine / theirs).collect()
    }
}

fn time(run: &mut Run, calls: u64) -> Duration {
    let start = Instant::now();
    black_box(run(black_box(calls)));
    start.elapsed()
}

/// Runs this number of rounds over groups of cases, one group for each number of peers.
pub fn interleave(groups: &mut [Vec<Timed>], rounds: usize) {
    let mut random = SmallRng::seed_from_u64(rounds as u64);
    for _ in 0..rounds {
        let mut order: Vec<&mut Vec<Timed>> = groups.iter_mut().collect();
        order.shuffle(&mut random);
        for group in order {
            let mut order: Vec<&mut Timed> = group.iter_mut().collect();
            order.shuffle(&mut random);
            order.into_iter().for_each(Timed::round);
        }
    }
}

/// The middle one; the mean of the middle two.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let (Some(low), Some(high)) = (
        figures.get(figures.len().saturating_sub(1) / 2),
        figures.get(figures.len() / 2),
    ) else {
        return f64::NAN;
    };
    (low + high) / 2.0
}

/// The figures at a quarter and at three quarters of the way.
pub fn middle_half(mut figures: Vec<f64>) -> [f64; 2] {
    figures.sort_unstable_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    [last / 4, last - last / 4].map(|at| figures.get(at).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn the_middle_half_leaves_a_quarter_on_either_side() {
        let figures = vec![9.0, 1.0, 2.0, 4.0, 3.0];
        assert_eq!(middle_half(figures), [2.0, 4.0]);
        assert!(middle_half(vec![]).iter().all(|figure| figure.is_nan()));
    }
}
