//! One request as the reference sees it: what it remembers, what it waits for, and whether what the
//! balancer does next is what it may do.

use std::task::Poll;
use std::time::Duration;

use evenhand::{Error, PeerVerdict, Retry, Verdict};
use tokio::time::Instant;

use crate::controlled_connector::Request;
use crate::decisions::{History, Next, Way, next};
use crate::outcomes::{How, Outcomes};
use crate::reference::Reference;
use crate::turns::{Seen, TURNS, Turn, decide, fits};

/// How a request is to end.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// With the response of this attempt.
    Response(usize),
    NoPeers,
    Exhausted,
    Failed,
    Inconclusive,
    TimedOut,
    Drained,
}

/// Whose time is over.
enum Over {
    Attempt,
    Request,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Begins,
    Calls(usize),
    /// Until it looks again, which is not later than this.
    Waits(Instant),
}

pub(crate) struct Asked {
    request: Request,
    phase: Phase,
    /// The peer of its latest attempt.
    name: String,
    /// What it may remember: more than one where it cannot be seen what it did.
    histories: Vec<History>,
    outcomes: Outcomes,
    /// The attempts that were refused, and the kinds of the refusals.
    suspects: Vec<(usize, &'static str)>,
    /// How many calls to look again there had been when it looked last.
    calls: usize,
    /// How its attempt ends, once the test has decided.
    pub(crate) told: Option<(bool, Verdict)>,
    /// When its attempt is cut off.
    limit: Option<Instant>,
}

impl Asked {
    pub(crate) fn new(request: Request) -> Self {
        Self {
            request,
            phase: Phase::Begins,
            name: String::new(),
            histories: vec![History::default()],
            outcomes: Outcomes::default(),
            suspects: Vec::new(),
            calls: 0,
            told: None,
            limit: None,
        }
    }

    /// The attempt that is in flight and whose end is not decided yet.
    pub(crate) fn hangs_on(&self) -> Option<usize> {
        match self.phase {
            Phase::Calls(serial) if self.told.is_none() => Some(serial),
            _ => None,
        }
    }

    /// When a request that waits looks again at the latest.
    pub(crate) fn looks_by(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waits(until) => Some(until),
            _ => None,
        }
    }

    /// The moments at which it looks again, or something of it ends.
    pub(crate) fn moments(&self) -> impl Iterator<Item = Option<Instant>> {
        [self.looks_by(), self.deadline(), self.limit, self.ends_at()].into_iter()
    }

    /// Its own deadline.
    fn ends_at(&self) -> Option<Instant> {
        self.histories[0].ends
    }

    /// Whether its time is over, or that of its attempt.
    fn is_over(&self, r: &Reference) -> Option<Over> {
        let end = self.limit.into_iter().chain(self.ends_at()).min()?;
        let over = match self.ends_at() == Some(end) {
            true => Over::Request,
            false => Over::Attempt,
        };
        (r.whole(end) <= Instant::now()).then_some(over)
    }

    /// It waits: its times begin, if they have not begun.
    fn begin_times(&mut self, r: &Reference) {
        let now = Instant::now();
        let ends = r.rules.deadline.map(|deadline| now + deadline);
        self.each(|history| history.ends = history.ends.or(ends));
        if let Phase::Calls(_) = self.phase {
            let limit = r.rules.attempt_timeout.map(|timeout| now + timeout);
            self.limit = self.limit.or(limit);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.histories[0].deadline
    }

    fn each(&mut self, change: impl FnMut(&mut History)) {
        self.histories.iter_mut().for_each(change);
    }

    /// The caller drops it. It releases its permits in the order in which the future does.
    pub(crate) fn cancel(mut self, r: &mut Reference) {
        self.release(r);
        if let Phase::Calls(serial) = self.phase {
            r.close(serial);
        }
    }

    /// It gives up the permits of its suspects, and its place among those that wait.
    fn release(&mut self, r: &mut Reference) {
        for (suspect, _) in self.suspects.drain(..) {
            r.close(suspect);
        }
        if self.deadline().is_some() {
            r.waits_no_more();
        }
        self.each(|history| history.deadline = None);
    }

    /// Follows one poll.
    ///
    /// # Errors
    ///
    /// What the balancer did wrong.
    pub(crate) fn follow(&mut self, r: &mut Reference, seen: &Seen<'_>) -> Result<(), String> {
        self.follow_poll(r, seen)?;
        if seen.outcome.is_pending() {
            self.begin_times(r);
        }
        Ok(())
    }

    fn follow_poll(&mut self, r: &mut Reference, seen: &Seen<'_>) -> Result<(), String> {
        let ending = match self.phase {
            Phase::Calls(serial) => match (self.told.take(), self.is_over(r)) {
                (Some((true, verdict)), _) => {
                    self.judge(r, serial, How::Rejected(serial), &verdict)
                }
                (Some((false, verdict)), _) => self.judge(r, serial, How::Error(serial), &verdict),
                (None, Some(Over::Attempt)) => {
                    self.judge(r, serial, How::TimedOut, &r.rules.timeout_verdict.clone())
                }
                (None, Some(Over::Request)) => {
                    let (instance, late) = (r.instance_of(serial), Verdict::neutral());
                    self.outcomes
                        .note(instance, &self.name, How::TimedOut, &late, true);
                    r.close(serial);
                    return self.ends(r, seen, None);
                }
                (None, None) if seen.is_idle() => return Ok(()),
                (None, None) => return Err("it moved on before its attempt ended".into()),
            },
            Phase::Waits(by) if seen.is_perhaps_vain && seen.is_idle() => {
                // It looked in vain, or did not look.
                if self.goes_on(r, seen).is_ok()
                    && let Phase::Waits(later) = self.phase
                {
                    self.phase = Phase::Waits(by.max(later));
                }
                return Ok(());
            }
            Phase::Waits(by) => {
                r.lets_in = false;
                self.calls = r.calls;
                let end = self.deadline().filter(|end| *end <= Instant::now());
                if end.is_some_and(|end| by >= end) && seen.outcome.is_ready() {
                    // The deadline came before another look, or the look was in vain.
                    looked(r, seen);
                    return self.ends(r, seen, None);
                }
                self.each(|history| history.asks = r.share());
                None
            }
            Phase::Begins => None,
        };
        match ending {
            Some(ending) => self.ends(r, seen, Some(ending)),
            None => self.goes_on(r, seen),
        }
    }

    /// The balancer must have done what the reference decides. Where it depends on a jitter that is
    /// not known, or on whose turn it is, it must be one of several.
    fn goes_on(&mut self, r: &mut Reference, seen: &Seen<'_>) -> Result<(), String> {
        looked(r, seen);
        let (mut possible, mut wrong): (Vec<(History, Next)>, _) = (Vec::new(), None);
        let mut has_turn = false;
        for history in &self.histories {
            for (jitter_is_over, turn) in TURNS {
                if turn.is_some_and(|turn| !self.may_have(r, history, turn)) {
                    continue;
                }
                let (history, next) = decide(r, history.clone(), jitter_is_over, turn);
                match fits(&next, &history, seen) {
                    Ok(()) if possible.iter().any(|(other, _)| *other == history) => {}
                    Ok(()) => {
                        has_turn |= turn.is_some();
                        possible.push((history, next));
                    }
                    Err(why) => wrong = wrong.or(Some(why)),
                }
            }
        }
        let Some((_, next)) = possible.first().cloned() else {
            return Err(wrong.unwrap_or_default());
        };
        r.has_call &= !has_turn || possible.len() > 1;
        r.lets_in &= !has_turn;
        if self.deadline().is_none() && possible[0].0.deadline.is_some() {
            r.begins_to_wait();
            self.suspects
                .iter()
                .for_each(|(suspect, _)| r.close_probe(*suspect));
        }
        self.histories = possible.into_iter().map(|(history, _)| history).collect();
        self.goes(r, &next, seen)
    }

    /// Whether a request that would wait may have this turn.
    fn may_have(&self, r: &Reference, history: &History, turn: Turn) -> bool {
        let is_called = match turn {
            Turn::OneMore => r.has_call && history.asks == 0,
            Turn::Again => self.calls < r.calls,
        };
        is_called && history.deadline.is_some()
    }

    /// Whether it would ask a peer that is up, if it were its turn.
    pub(crate) fn could_ask(&self, r: &Reference) -> bool {
        let could = |history: &History| {
            let history = History {
                asks: 1,
                ..history.clone()
            };
            let next = next(
                &history,
                &r.candidates(false, false),
                &r.rules,
                Instant::now(),
            );
            matches!(next, Next::Ask(Way::Up, _))
        };
        self.histories.iter().all(could)
    }

    fn goes(&mut self, r: &mut Reference, next: &Next, seen: &Seen<'_>) -> Result<(), String> {
        match (next, seen.started) {
            (Next::Ask(..), Some(_)) if r.may_leave() > 0 => {
                Err("it picked a peer before those left that may leave".into())
            }
            (Next::Ask(way, _), Some(one)) => {
                self.each(|history| history.asks = history.asks.saturating_sub(1));
                r.picked(one.serial, one.instance, *way, one.taken);
                self.phase = Phase::Calls(one.serial);
                self.limit = None;
                self.name.clone_from(&one.name);
                Ok(())
            }
            (Next::Wait, _) => {
                r.lets_in &= self.could_ask(r);
                // Its turn, if it has one that it did not use, is another's.
                r.calls += 1;
                r.has_call = false;
                self.calls = r.calls;
                self.each(|history| history.asked.clear());
                self.phase = Phase::Waits(self.next_look(r));
                self.each(|history| history.waits += 1);
                Ok(())
            }
            _ => self.ends(r, seen, None),
        }
    }

    /// It looks again after a pause of its own, when a peer is due, or at its deadline.
    fn next_look(&self, r: &Reference) -> Instant {
        let (now, history) = (Instant::now(), &self.histories[0]);
        let waits = self.histories.iter().map(|history| history.waits).max();
        let pause = Duration::from_millis(10) * 2_u32.pow(waits.unwrap_or(0).min(10));
        let ends = history.deadline.unwrap_or(now);
        let by = ends.min(now + pause.min(Duration::from_secs(1)));
        let is_confined = history.unknown.len() >= r.rules.max_unknown;
        let may = |peer: u32| {
            !history.refused.contains(&peer) && (!is_confined || history.unknown.contains(&peer))
        };
        let due = r.next_due(r.demand(), may);
        // One that is due already is left to another request.
        let due = due.filter(|due| due.from > now);
        due.map_or(by, |due| by.min(due.to))
    }

    fn judge(
        &mut self,
        r: &mut Reference,
        serial: usize,
        how: How,
        verdict: &Verdict,
    ) -> Option<Ending> {
        self.limit = None;
        let instance = r.instance_of(serial);
        self.each(|history| {
            history.attempts += 1;
            history.asked.push(instance);
            if history.deadline.is_some_and(|end| end <= Instant::now()) {
                history.asks = 0;
            }
        });
        let may_retry = self.request.copied
            && match verdict.retry {
                Retry::Never => false,
                Retry::Safe | Retry::Busy => true,
                Retry::IfIdempotent => self.request.idempotent,
                other => panic!("the reference does not know {other:?}"),
            };
        let is_known = self.histories[0].unknown.contains(&instance);
        if verdict.retry == Retry::IfIdempotent && !is_known {
            self.each(|history| history.unknown.push(instance));
        }
        if verdict.peer == PeerVerdict::Healthy {
            let convicted = Verdict::down().because("another peer did what this one refused");
            for (suspect, kind) in std::mem::take(&mut self.suspects) {
                if kind == verdict.kind {
                    if r.is_open(suspect) {
                        r.settle(suspect, &convicted);
                        r.close(suspect);
                    }
                } else {
                    self.suspects.push((suspect, kind));
                }
            }
        }
        let (refuses, counts) = (
            verdict.peer == PeerVerdict::Suspect,
            r.responds(serial, verdict),
        );
        if refuses && may_retry {
            self.suspects.push((serial, verdict.kind));
            if self.deadline().is_some() {
                r.close_probe(serial);
            }
            self.each(|history| history.refused.push(instance));
        } else {
            if counts {
                r.settle(serial, verdict);
                r.close(serial);
            }
            if verdict.retry == Retry::Busy && !refuses {
                self.each(|history| history.busy.push(instance));
            }
        }
        if matches!(how, How::Rejected(_)) && !may_retry {
            return Some(Ending::Response(serial));
        }
        self.outcomes
            .note(instance, &self.name, how, verdict, may_retry);
        if !may_retry {
            return Some(Ending::Failed);
        }
        if !refuses || !r.refuse(&self.histories[0].refused) {
            let is_last = self.histories[0].attempts >= r.rules.max_attempts;
            let is_spent = !is_last && !r.has_budget();
            self.each(|history| history.is_spent = is_spent);
            return None;
        }
        if let Some(response) = self.outcomes.response() {
            return Some(Ending::Response(response));
        }
        // Of those that were not convicted.
        self.outcomes.decides(r.instance_of(self.suspects[0].0));
        Some(Ending::Inconclusive)
    }

    /// Checks how it ended: with this, or as a request that no peer is left for.
    fn ends(
        &mut self,
        r: &mut Reference,
        seen: &Seen<'_>,
        ending: Option<Ending>,
    ) -> Result<(), String> {
        self.release(r);
        let ending = ending.unwrap_or(match self.outcomes.response() {
            Some(serial) => Ending::Response(serial),
            None if r.peers.is_empty() => Ending::NoPeers,
            None if self.outcomes.is_empty() && r.is_drained() => Ending::Drained,
            None if self.ends_at().is_some_and(|ends| ends <= Instant::now()) => Ending::TimedOut,
            None => Ending::Exhausted,
        });
        let Poll::Ready(outcome) = seen.outcome else {
            return Err(format!("it should have ended with {ending:?}"));
        };
        let found = match outcome {
            Ok(end) => Ending::Response(end.serial),
            Err(Error::Exhausted { .. }) => Ending::Exhausted,
            Err(Error::TimedOut { .. }) => Ending::TimedOut,
            Err(Error::Failed { .. }) => Ending::Failed,
            Err(Error::Inconclusive { .. }) => Ending::Inconclusive,
            Err(Error::NoPeers) => Ending::NoPeers,
            Err(Error::Drained) => Ending::Drained,
            Err(other) => return Err(format!("it ended with {other:?}")),
        };
        if found != ending {
            return Err(format!("it ended with {found:?}, not with {ending:?}"));
        }
        let Err(error) = outcome else { return Ok(()) };
        if matches!(found, Ending::NoPeers | Ending::Drained) {
            return Ok(());
        }
        let (told, due) = (error.next_due(), r.next_due(r.demand(), |_| true));
        let due = due.filter(|_| matches!(found, Ending::Exhausted | Ending::TimedOut));
        if told.is_some() != due.is_some() || !due.zip(told).is_none_or(|(d, t)| d.contains(t)) {
            return Err(format!("it says the next is due at {told:?}, not {due:?}"));
        }
        self.outcomes.are_told(error)
    }
}

/// A request that looks for a peer lets those go that may leave. It may do so, and must before it
/// picks one.
fn looked(r: &mut Reference, seen: &Seen<'_>) {
    if seen.peers < r.peers.len() {
        r.let_leave();
    }
}
