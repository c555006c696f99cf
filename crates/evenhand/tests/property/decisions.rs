//! The two decisions of the balancer, written the obvious way: when a peer that is out is due, and
//! what a request does next.

use std::time::Duration;

use tokio::time::Instant;

use crate::rules::{AllDown, Rules};

/// Between two moments, which are equal if the moment is known: intervals have jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Span {
    pub(crate) fn at(moment: Instant) -> Self {
        Self {
            from: moment,
            to: moment,
        }
    }

    fn after(since: Instant, (shortest, longest): (Duration, Duration)) -> Self {
        Self {
            from: since + shortest,
            to: since + longest,
        }
    }

    pub(crate) fn earlier(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.min(other.to),
        }
    }

    pub(crate) fn contains(self, moment: Instant) -> bool {
        (self.from..=self.to).contains(&moment)
    }
}

/// What is known of a peer that is out, or that came back from an ejection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Ejections in a row.
    pub(crate) streak: u32,
    /// Since when it is out, or up again.
    pub(crate) since: Instant,
    /// When a verdict or an operator wants it back.
    pub(crate) set: Option<Instant>,
    /// When a probe ended that said nothing.
    pub(crate) released: Option<Instant>,
    /// The due times that the balancer has shown, without demand and with it.
    pub(crate) shown: [Option<Instant>; 2],
}

/// When a peer that is out is due. There is demand if no peer is up and a request waits.
pub(crate) fn due(record: &Record, demand: bool, rules: &Rules) -> Span {
    let after = |streak| Span::after(record.since, rules.interval(streak));
    let without = match (record.set, record.shown[0]) {
        (Some(set), _) => Span::at(set),
        (None, Some(shown)) => Span::at(shown),
        (None, None) => after(record.streak),
    };
    let due = match record.shown[1] {
        _ if !demand || record.set.is_some() || record.streak == 1 => without,
        Some(shown) => Span::at(shown),
        None => after(1).earlier(without),
    };
    let released = record.released.map(Span::at);
    released.map_or(due, |released| due.earlier(released))
}

/// The peers of a set, by instance, as one request finds them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) up: Vec<u32>,
    pub(crate) due: Vec<u32>,
    /// Those that are out and may be asked nevertheless if all are.
    pub(crate) open: Vec<u32>,
}

/// What a request remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) attempts: u32,
    /// The peers that were asked in this round.
    pub(crate) asked: Vec<u32>,
    /// Those that had no room, until it returns to them.
    pub(crate) busy: Vec<u32>,
    pub(crate) second_pass: bool,
    /// Those that may have executed it.
    pub(crate) unknown: Vec<u32>,
    /// Those that refused it.
    pub(crate) refused: Vec<u32>,
    pub(crate) waits: u32,
    /// Set when it waits for a peer for the first time.
    pub(crate) deadline: Option<Instant>,
    /// The request's own deadline. Set when it waits for anything for the first time.
    pub(crate) ends: Option<Instant>,
    /// How many peers it may ask before it waits again, once it has a deadline.
    pub(crate) asks: usize,
    /// The retry budget had no more for it.
    pub(crate) is_spent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Probe,
    Open,
}

/// What a request does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It asks one of these.
    Ask(Way, Vec<u32>),
    /// It returns to the peers that had no room, and decides again.
    SecondPass,
    Wait,
    End,
}

/// What a request does next.
pub(crate) fn next(history: &History, there: &Candidates, rules: &Rules, now: Instant) -> Next {
    let is_late = history.ends.is_some_and(|ends| ends <= now);
    if history.attempts >= rules.max_attempts || history.is_spent || is_late {
        return Next::End;
    }
    let is_confined = history.unknown.len() >= rules.max_unknown;
    let may = |peer: &&u32| {
        !history.asked.contains(peer)
            && !history.refused.contains(peer)
            && (!is_confined || history.unknown.contains(peer))
    };
    let [up, due, open] = [&there.up, &there.due, &there.open]
        .map(|peers| -> Vec<u32> { peers.iter().filter(may).copied().collect() });
    if history.deadline.is_none() || history.asks > 0 {
        // A caller's first attempt finds out whether a peer is back. Later ones go where they are
        // most likely served.
        let is_first = history.attempts == 0 && history.deadline.is_none();
        if !due.is_empty() && (is_first || up.is_empty()) {
            return Next::Ask(Way::Probe, due);
        }
        if !up.is_empty() {
            return Next::Ask(Way::Up, up);
        }
    }
    if !history.second_pass && !history.busy.is_empty() {
        return Next::SecondPass;
    }
    match rules.all_down {
        AllDown::FailOpen if !open.is_empty() => Next::Ask(Way::Open, open),
        AllDown::Wait(_) if history.deadline.is_none_or(|end| now < end) => Next::Wait,
        _ => Next::End,
    }
}
