//! What the clients of an outage saw, added up from the moment of the fault.

use std::time::{Duration, Instant};

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a connection.
    Checkout,
    /// It waits for an answer on one.
    Query,
}

/// What was seen from the fault to the end of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// The longest wait for a connection, also one that failed or had not ended yet.
    pub longest_checkout: Duration,
    /// The longest wait for an answer, likewise. Of idempotent work: all of it, with its checkouts.
    pub longest_query: Duration,
    /// Checkouts that failed.
    pub failed_checkouts: u64,
    /// Queries, or idempotent work, that failed.
    pub failed_queries: u64,
    /// Clients that were still waiting for something that began before the window's last second.
    pub stuck: u64,
    /// Queries answered.
    pub answered: u64,
    /// The longest time in which no client at all got an answer.
    pub silence: Duration,
}

/// Adds it up.
#[derive(Debug)]
pub struct Tally {
    fault: Instant,
    last_answer: Instant,
    figures: Figures,
}

impl Tally {
    /// From this moment on.
    pub fn since(fault: Instant) -> Self {
        Self {
            fault,
            last_answer: fault,
            figures: Figures::default(),
        }
    }

    /// A wait has ended, well or not. One that ended before the fault does not count.
    pub fn ended(&mut self, phase: Phase, begun: Instant, end: Instant, well: bool) {
        if end < self.fault {
            return;
        }
        self.waited(phase, end.saturating_duration_since(begun));
        let figures = &mut self.figures;
        match (phase, well) {
            (Phase::Checkout, true) => {}
            (Phase::Checkout, false) => figures.failed_checkouts += 1,
            (Phase::Query, false) => figures.failed_queries += 1,
            (Phase::Query, true) => {
                figures.answered += 1;
                let quiet = end.saturating_duration_since(self.last_answer);
                figures.silence = figures.silence.max(quiet);
                self.last_answer = self.last_answer.max(end);
            }
        }
    }

    /// The window is over, and these clients still wait.
    pub fn close(
        mut self,
        end: Instant,
        waiting: impl IntoIterator<Item = (Phase, Instant)>,
    ) -> Figures {
        for (phase, begun) in waiting {
            let waited = end.saturating_duration_since(begun);
            self.waited(phase, waited);
            if waited > Duration::from_secs(1) {
                self.figures.stuck += 1;
            }
        }
        let quiet = end.saturating_duration_since(self.last_answer);
        self.figures.silence = self.figures.silence.max(quiet);
        self.figures
    }

    fn waited(&mut self, phase: Phase, time: Duration) {
        let longest = match phase {
            Phase::Checkout => &mut self.figures.longest_checkout,
            Phase::Query => &mut self.figures.longest_query,
        };
        *longest = (*longest).max(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn what_ends_after_the_fault_counts_and_what_ended_before_does_not() {
        let start = Instant::now();
        let fault = start + ms(1000);
        let mut tally = Tally::since(fault);
        tally.ended(Phase::Query, start, start + ms(900), false);
        tally.ended(Phase::Checkout, start + ms(500), start + ms(1200), false);
        tally.ended(Phase::Query, start + ms(990), start + ms(1300), true);
        tally.ended(Phase::Query, start + ms(1300), start + ms(1400), false);
        let figures = tally.close(start + ms(1900), []);
        let expected = Figures {
            longest_checkout: ms(700),
            longest_query: ms(310),
            failed_checkouts: 1,
            failed_queries: 1,
            stuck: 0,
            answered: 1,
            silence: ms(600),
        };
        assert_eq!(figures, expected);
    }

    #[test]
    fn who_still_waits_counts_and_only_who_waits_long_is_stuck() {
        let fault = Instant::now();
        let waiting = [
            (Phase::Query, fault + ms(100)),
            (Phase::Checkout, fault + ms(4500)),
        ];
        let figures = Tally::since(fault).close(fault + ms(5000), waiting);
        assert_eq!(figures.stuck, 1);
        assert_eq!(figures.longest_query, ms(4900));
        assert_eq!(figures.longest_checkout, ms(500));
        assert_eq!(figures.silence, ms(5000));
    }
}
