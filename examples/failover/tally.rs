//! What is counted: in each second, for the picture, and in total, for the last line.

use std::fmt;
use std::time::Duration;

use crate::load::Answer;

/// The counts of one second.
#[derive(Clone, Default)]
pub(crate) struct Second {
    /// Reads served, by peer.
    pub(crate) served: Vec<u64>,
    pub(crate) failed: u64,
    /// The longest latency, if any read ended.
    pub(crate) worst: Option<Duration>,
}

pub(crate) struct Tally {
    names: Vec<String>,
    second: Second,
    failed: u64,
    /// Of every read, including those that failed.
    latencies: Vec<Duration>,
}

impl Tally {
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self {
            second: Second {
                served: vec![0; names.len()],
                ..Second::default()
            },
            names,
            failed: 0,
            latencies: Vec::new(),
        }
    }

    /// Counts an answer, and returns its error if it has one.
    pub(crate) fn count(&mut self, answer: Answer) -> Result<(), String> {
        self.latencies.push(answer.latency);
        self.second.worst = self.second.worst.max(Some(answer.latency));
        let outcome = answer.outcome.and_then(|peer| {
            let mut counts = self.names.iter().zip(&mut self.second.served);
            match counts.find(|(name, _)| **name == peer) {
                Some((_, served)) => *served += 1,
                None => return Err(format!("`{peer}` answered, which is none of the peers")),
            }
            Ok(())
        });
        if outcome.is_err() {
            self.second.failed += 1;
            self.failed += 1;
        }
        outcome
    }

    /// This second's counts; the next second starts from zero.
    pub(crate) fn end_second(&mut self) -> Second {
        let next = Second {
            served: vec![0; self.names.len()],
            ..Second::default()
        };
        std::mem::replace(&mut self.second, next)
    }

    pub(crate) fn total(mut self) -> Total {
        self.latencies.sort_unstable();
        // By nearest rank.
        let percentile = |percent: usize| {
            let rank = (self.latencies.len() * percent).div_ceil(100);
            let latency = self.latencies.get(rank.saturating_sub(1));
            latency.copied().unwrap_or_default()
        };
        Total {
            served: self.latencies.len() as u64 - self.failed,
            failed: self.failed,
            p50: percentile(50),
            p99: percentile(99),
            max: percentile(100),
        }
    }
}

/// The last line.
pub(crate) struct Total {
    pub(crate) served: u64,
    pub(crate) failed: u64,
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Total {
    /// How long reads took.
    pub(crate) fn waits(&self) -> String {
        let [p50, p99, max] = [self.p50, self.p99, self.max].map(millis);
        format!("{p50} p50, {p99} p99, {max} max")
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { served, failed, .. } = self;
        let waits = self.waits();
        write!(f, "failover: {served} served, {failed} failed, {waits}")
    }
}

/// In milliseconds, with one decimal below 100.
pub(crate) fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 99.95 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}
