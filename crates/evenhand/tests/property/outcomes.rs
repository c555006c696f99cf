//! The outcomes that did not settle a request, and which of them the caller gets.

use std::cmp::Reverse;

use evenhand::{Cause, Error, PeerVerdict, Retry, Tried, Verdict};

use crate::controlled_connector::End;

/// How much an outcome says, and the instance of its peer.
type Rank = (u32, Reverse<u32>);

const DECIDES: Rank = (9, Reverse(0));

fn rank(verdict: &Verdict, instance: u32) -> Rank {
    let says = match (verdict.retry, verdict.peer) {
        (Retry::IfIdempotent, _) => 5,
        (_, PeerVerdict::Suspect) => 4,
        (Retry::Busy, _) => 3,
        (_, PeerVerdict::Down) => 1,
        _ => 2,
    };
    (says, Reverse(instance))
}

/// How an attempt ended that did not settle its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// With this attempt's error.
    Error(usize),
    /// With this attempt's response.
    Rejected(usize),
    TimedOut,
}

/// The last outcome of a peer.
#[derive(Clone, Debug)]
struct Outcome {
    instance: u32,
    name: String,
    how: How,
    attempts: u32,
    rank: Rank,
}

#[derive(Default)]
pub(crate) struct Outcomes {
    /// In the order in which the peers were asked first.
    of_peers: Vec<Outcome>,
    /// The best response.
    response: Option<(Rank, usize)>,
}

impl Outcomes {
    /// Takes the outcome in place of an earlier one of the same peer.
    pub(crate) fn note(
        &mut self,
        instance: u32,
        name: &str,
        how: How,
        verdict: &Verdict,
        may_retry: bool,
    ) {
        let rank = if may_retry {
            rank(verdict, instance)
        } else {
            DECIDES
        };
        if let How::Rejected(serial) = how
            && self.response.is_none_or(|(best, _)| rank >= best)
        {
            self.response = Some((rank, serial));
        }
        let mut outcome = Outcome {
            instance,
            name: name.to_owned(),
            how,
            attempts: 1,
            rank,
        };
        let mut earlier = self.of_peers.iter_mut();
        match earlier.find(|one| one.instance == instance) {
            Some(earlier) => {
                outcome.attempts += earlier.attempts;
                *earlier = outcome;
            }
            None => self.of_peers.push(outcome),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.of_peers.is_empty()
    }

    /// The outcome of this peer ends the request.
    pub(crate) fn decides(&mut self, instance: u32) {
        let mut those = self.of_peers.iter_mut();
        those.find(|one| one.instance == instance).unwrap().rank = DECIDES;
    }

    /// The response that the caller gets if no peer is left.
    pub(crate) fn response(&self) -> Option<usize> {
        self.response.map(|(_, serial)| serial)
    }

    /// Whether the error tells these, and has the one that says most as its cause.
    pub(crate) fn are_told(&self, error: &Error<End>) -> Result<(), String> {
        let one = |tried: &Tried<End>| {
            let how = match &tried.cause {
                Cause::Error(end) => format!("error of {}", end.serial),
                Cause::Rejected => "rejected".to_owned(),
                _ => "timed out".to_owned(),
            };
            (tried.peer.to_string(), how, tried.attempts)
        };
        let told: Vec<_> = error.tried().iter().map(one).collect();
        let one = |one: &Outcome| {
            let how = match one.how {
                How::Error(serial) => format!("error of {serial}"),
                How::Rejected(_) => "rejected".to_owned(),
                How::TimedOut => "timed out".to_owned(),
            };
            (one.name.clone(), how, one.attempts)
        };
        let expected: Vec<_> = self.of_peers.iter().map(one).collect();
        if told != expected {
            return Err(format!("the error names {told:?}, not {expected:?}"));
        }
        let errors = self.of_peers.iter().filter_map(|one| match one.how {
            How::Error(serial) => Some((one.rank, serial)),
            _ => None,
        });
        let best = errors.max_by_key(|(rank, _)| *rank);
        let best = best.map(|(_, serial)| serial);
        let cause = error.cause().map(|end| end.serial);
        if cause != best {
            return Err(format!("its cause is {cause:?}, not {best:?}"));
        }
        Ok(())
    }
}
