//! The settings of one schedule, for the balancer and for its reference.

use std::time::Duration;

use evenhand::{Eject, Verdict};

/// What a request does when no peer is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllDown {
    Fail,
    Wait(Duration),
    FailOpen,
}

/// How a peer joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    AtOnce,
    OnProof,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Floor {
    MinUp(usize),
    Half,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Recheck {
    Every(Duration),
    Growing { first: Duration, max: Duration },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) recheck: Recheck,
    pub(crate) down_limit: u32,
    pub(crate) degraded_limit: u32,
    pub(crate) floor: Floor,
    pub(crate) all_down: AllDown,
    pub(crate) max_attempts: u32,
    pub(crate) max_unknown: usize,
    pub(crate) max_refusals: usize,
    pub(crate) ticket_timeout: Duration,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) timeout_verdict: Verdict,
    pub(crate) deadline: Option<Duration>,
    /// Retries are asked of a budget.
    pub(crate) has_budget: bool,
    /// Changes only which of the peers that are up is asked. The reference allows any.
    pub(crate) slow_start: Duration,
}

impl Rules {
    /// The shortest and the longest interval after so many ejections in a row.
    pub(crate) fn interval(&self, streak: u32) -> (Duration, Duration) {
        match self.recheck {
            Recheck::Every(interval) => (interval, interval),
            Recheck::Growing { first, max } => {
                let mut interval = first;
                for _ in 1..streak {
                    interval = max.min(2 * interval);
                }
                (interval.mul_f64(0.9), interval.mul_f64(1.1))
            }
        }
    }

    /// A peer that was up for so long has a clean record.
    pub(crate) fn forgets_after(&self) -> Duration {
        match self.recheck {
            Recheck::Every(interval) => interval,
            Recheck::Growing { max, .. } => max,
        }
    }

    pub(crate) fn eject(&self) -> Eject {
        let eject = match (self.down_limit, self.degraded_limit) {
            (1, degraded) => Eject::on_first_or_degraded(degraded),
            (failures, _) => Eject::after_in_a_row(failures),
        };
        let eject = match self.floor {
            Floor::MinUp(peers) => eject.min_up(peers),
            Floor::Half => eject.min_up_share(0.5),
        };
        match self.recheck {
            Recheck::Every(interval) => eject.recheck_every(interval),
            Recheck::Growing { first, max } => eject.recheck_growing(first, max),
        }
    }

    pub(crate) fn all_down(&self) -> evenhand::AllDown {
        match self.all_down {
            AllDown::Fail => evenhand::AllDown::Fail,
            AllDown::Wait(patience) => evenhand::AllDown::WaitUpTo(patience),
            AllDown::FailOpen => evenhand::AllDown::FailOpen,
        }
    }
}
