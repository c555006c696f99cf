//! From one attempt or wait of a request to the next, and whether it is what the balancer did.

use std::task::Poll;

use evenhand::Error;
use tokio::time::Instant;

use crate::controlled_connector::{End, Started};
use crate::decisions::{History, Next, Way, next};
use crate::reference::Reference;
use crate::rules::AllDown;

/// A turn of a request that would wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A peer came while no request waited for a turn: it may ask one more than its share.
    OneMore,
    /// A turn that another request did not use: it goes round again.
    Again,
}

/// Whether jitters that are not known are over, and whose turn it is.
pub(crate) const TURNS: [(bool, Option<Turn>); 6] = [
    (true, None),
    (true, Some(Turn::OneMore)),
    (true, Some(Turn::Again)),
    (false, None),
    (false, Some(Turn::OneMore)),
    (false, Some(Turn::Again)),
];

/// What the balancer did in one poll.
pub(crate) struct Seen<'a> {
    pub(crate) started: Option<&'a Started>,
    pub(crate) outcome: &'a Poll<Result<End, Error<End>>>,
    /// How many peers there are after it.
    pub(crate) peers: usize,
    /// The poll before woke its own task, so this one may be for nothing.
    pub(crate) is_perhaps_vain: bool,
}

impl Seen<'_> {
    pub(crate) fn is_idle(&self) -> bool {
        self.started.is_none() && self.outcome.is_pending()
    }
}

/// What a request does next. With a turn it is called at once if it would wait.
pub(crate) fn decide(
    r: &Reference,
    mut history: History,
    jitter_is_over: bool,
    mut turn: Option<Turn>,
) -> (History, Next) {
    let now = Instant::now();
    loop {
        let demand = r.up() == 0 && (r.waiting > 0 || history.deadline.is_some());
        let there = r.candidates(demand, jitter_is_over);
        match (next(&history, &there, &r.rules, now), r.rules.all_down) {
            (Next::SecondPass, _) => {
                history.second_pass = true;
                let busy = std::mem::take(&mut history.busy);
                history.asked.retain(|peer| !busy.contains(peer));
                history.asks = history.asks.max(1);
            }
            // Now that it waits, peers may be due sooner.
            (Next::Wait, AllDown::Wait(patience)) if history.deadline.is_none() => {
                let ends = r.rules.deadline.map(|deadline| now + deadline);
                let ends = history.ends.or(ends);
                let patience_ends = now + patience;
                history.deadline = Some(ends.map_or(patience_ends, |ends| ends.min(patience_ends)));
                history.asks = 1;
            }
            (Next::Wait, _) if turn.is_some() => {
                history.asks = 1;
                if turn.take() == Some(Turn::Again) {
                    history.waits += 1;
                    history.asked.clear();
                    history.asks = r.share();
                }
            }
            (next, _) => return (history, next),
        }
    }
}

/// Whether the balancer did this.
pub(crate) fn fits(next: &Next, history: &History, seen: &Seen<'_>) -> Result<(), String> {
    let fits = match (next, seen.started) {
        (Next::Ask(way, those), Some(one)) => {
            those.contains(&one.instance)
                && one.probe == (*way == Way::Probe)
                && one.second_pass == history.second_pass
                && seen.outcome.is_pending()
        }
        (Next::Wait, None) => seen.outcome.is_pending(),
        (Next::End, None) => seen.outcome.is_ready(),
        _ => false,
    };
    let found = || match seen.started {
        Some(one) => format!(
            "an attempt on {} {}, probe: {}, second pass: {}",
            one.name, one.instance, one.probe, one.second_pass
        ),
        None => format!("{:?}", seen.outcome),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{}, expected {next:?} after {history:?}", found()))
    }
}
