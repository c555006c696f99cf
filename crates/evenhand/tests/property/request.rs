//! One request as the reference sees it: what it remembers, what it waits for, and whether what the
//! balancer does next is what it may do.

use std::cmp::Reverse;
use std::task::Poll;
use std::time::Duration;

use evenhand::{Cause, Error, PeerVerdict, Retry, Tried, Verdict};
use tokio::time::Instant;

use crate::controlled_connector::{End, Request, Started};
use crate::decisions::{History, Next, Way, next};
use crate::reference::Reference;
use crate::rules::AllDown;

/// How a request is to end.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// With the response of this attempt.
    Response(usize),
    NoPeers,
    Exhausted,
    Failed,
    Inconclusive,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Begins,
    Calls(usize),
    /// Until it looks again, which is not later than this.
    Waits(Instant),
}

/// A turn of a request that would wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A peer came while no request waited for a turn: it may ask one more than its share.
    OneMore,
    /// A turn that another request did not use: it goes round again.
    Again,
}

/// How much an outcome says, and the instance of its peer.
type Rank = (u32, Reverse<u32>);

const DECIDES: Rank = (9, Reverse(0));

/// The last outcome of a peer that did not settle the request.
#[derive(Clone, Debug)]
struct Outcome {
    instance: u32,
    name: String,
    /// `None` if it was a response.
    error: Option<usize>,
    attempts: u32,
    rank: Rank,
}

pub(crate) struct Asked {
    request: Request,
    phase: Phase,
    /// The peer of its latest attempt.
    name: String,
    history: History,
    outcomes: Vec<Outcome>,
    /// The attempts that were refused, and the kinds of the refusals.
    suspects: Vec<(usize, &'static str)>,
    /// The best response of those that were rejected.
    rejected: Option<(Rank, usize)>,
    /// How many calls to look again there had been when it looked last.
    calls: usize,
    /// How its attempt ends, once the test has decided.
    pub(crate) told: Option<(bool, Verdict)>,
}

/// What the balancer did in one poll.
pub(crate) struct Seen<'a> {
    pub(crate) started: Option<&'a Started>,
    pub(crate) outcome: &'a Poll<Result<End, Error<End>>>,
    /// The poll before woke its own task, so this one may be for nothing.
    pub(crate) is_perhaps_vain: bool,
}

impl Seen<'_> {
    fn is_idle(&self) -> bool {
        self.started.is_none() && self.outcome.is_pending()
    }
}

impl Asked {
    pub(crate) fn new(request: Request) -> Self {
        Self {
            request,
            phase: Phase::Begins,
            name: String::new(),
            history: History::default(),
            outcomes: Vec::new(),
            suspects: Vec::new(),
            rejected: None,
            calls: 0,
            told: None,
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

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.history.deadline
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
        if self.history.deadline.take().is_some() {
            r.waits_no_more();
        }
    }

    /// Follows one poll.
    ///
    /// # Errors
    ///
    /// What the balancer did wrong.
    pub(crate) fn follow(&mut self, r: &mut Reference, seen: &Seen<'_>) -> Result<(), String> {
        let ending = match self.phase {
            Phase::Calls(serial) => match self.told.take() {
                Some((ok, verdict)) => self.judge(r, serial, ok, &verdict),
                None if seen.is_idle() => return Ok(()),
                None => return Err("it moved on before its attempt ended".into()),
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
                let end = self.history.deadline.filter(|end| *end <= Instant::now());
                if end.is_some_and(|end| by >= end) && seen.outcome.is_ready() {
                    // The deadline came before another look.
                    return self.ends(r, seen, None);
                }
                self.history.asks = r.share();
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
        let mut wrong = Ok(());
        for jitter_is_over in [true, false] {
            for turn in [None, Some(Turn::OneMore), Some(Turn::Again)] {
                let turn = turn.filter(|turn| self.may_have(r, *turn));
                let (history, next) = self.decide(r, jitter_is_over, turn);
                match fits(&next, &history, seen) {
                    Ok(()) => {
                        r.has_call &= turn.is_none();
                        return self.goes(r, history, &next, seen);
                    }
                    Err(why) => wrong = wrong.and(Err(why)),
                }
            }
        }
        wrong
    }

    /// Whether a request that would wait may have this turn.
    fn may_have(&self, r: &Reference, turn: Turn) -> bool {
        let is_called = match turn {
            Turn::OneMore => r.has_call && self.history.asks == 0,
            Turn::Again => self.calls < r.calls,
        };
        is_called && self.history.deadline.is_some()
    }

    fn decide(&self, r: &Reference, jitter: bool, mut turn: Option<Turn>) -> (History, Next) {
        let (mut history, now) = (self.history.clone(), Instant::now());
        loop {
            let demand = r.up() == 0 && (r.waiting > 0 || history.deadline.is_some());
            let there = r.candidates(demand, jitter);
            match (next(&history, &there, &r.rules, now), r.rules.all_down) {
                (Next::SecondPass, _) => {
                    history.second_pass = true;
                    let busy = std::mem::take(&mut history.busy);
                    history.asked.retain(|peer| !busy.contains(peer));
                    history.asks = history.asks.max(1);
                }
                // Now that it waits, peers may be due sooner.
                (Next::Wait, AllDown::Wait(patience)) if history.deadline.is_none() => {
                    history.deadline = Some(now + patience);
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

    /// Whether it would ask a peer that is up, if it were its turn.
    pub(crate) fn could_ask(&self, r: &Reference) -> bool {
        let history = History {
            asks: 1,
            ..self.history.clone()
        };
        let next = next(
            &history,
            &r.candidates(false, false),
            &r.rules,
            Instant::now(),
        );
        matches!(next, Next::Ask(Way::Up, _))
    }

    fn goes(
        &mut self,
        r: &mut Reference,
        history: History,
        next: &Next,
        seen: &Seen<'_>,
    ) -> Result<(), String> {
        if self.history.deadline.is_none() && history.deadline.is_some() {
            r.begins_to_wait();
        }
        self.history = history;
        match (next, seen.started) {
            (Next::Ask(way, _), Some(one)) => {
                self.history.asks = self.history.asks.saturating_sub(1);
                r.picked(one.serial, one.instance, *way, one.ticket.is_some());
                self.phase = Phase::Calls(one.serial);
                self.name.clone_from(&one.name);
                Ok(())
            }
            (Next::Wait, _) => {
                r.lets_in &= self.could_ask(r);
                // It may have gone round once more in vain.
                self.history.waits += u32::from(self.may_have(r, Turn::Again));
                // Its turn, if it has one that it did not use, is another's.
                r.calls += 1;
                r.has_call = false;
                self.calls = r.calls;
                self.history.asked.clear();
                self.phase = Phase::Waits(self.next_look(r));
                self.history.waits += 1;
                Ok(())
            }
            _ => self.ends(r, seen, None),
        }
    }

    /// It looks again after a pause of its own, when a peer is due, or at its deadline.
    fn next_look(&self, r: &Reference) -> Instant {
        let (now, history) = (Instant::now(), &self.history);
        let pause = Duration::from_millis(10) * 2_u32.pow(history.waits.min(10));
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
        ok: bool,
        verdict: &Verdict,
    ) -> Option<Ending> {
        let instance = r.instance_of(serial);
        self.history.attempts += 1;
        self.history.asked.push(instance);
        let may_retry = self.request.copied
            && match verdict.retry {
                Retry::Never => false,
                Retry::Safe | Retry::Busy => true,
                Retry::IfIdempotent => self.request.idempotent,
                other => panic!("the reference does not know {other:?}"),
            };
        if verdict.retry == Retry::IfIdempotent && !self.history.unknown.contains(&instance) {
            self.history.unknown.push(instance);
        }
        if verdict.peer == PeerVerdict::Healthy {
            let convicted = Verdict::down().because("another peer did what this one refused");
            for (suspect, kind) in std::mem::take(&mut self.suspects) {
                if kind == verdict.kind {
                    r.settle(suspect, &convicted);
                    r.close(suspect);
                } else {
                    self.suspects.push((suspect, kind));
                }
            }
        }
        let refuses = verdict.peer == PeerVerdict::Suspect;
        if refuses && may_retry {
            self.suspects.push((serial, verdict.kind));
            self.history.refused.push(instance);
        } else {
            r.settle(serial, verdict);
            r.close(serial);
            if verdict.retry == Retry::Busy && !refuses {
                self.history.busy.push(instance);
            }
        }
        if ok && !may_retry {
            return Some(Ending::Response(serial));
        }
        let rank = match (verdict.retry, verdict.peer) {
            _ if !may_retry => DECIDES,
            (Retry::IfIdempotent, _) => (5, Reverse(instance)),
            (_, PeerVerdict::Suspect) => (4, Reverse(instance)),
            (Retry::Busy, _) => (3, Reverse(instance)),
            (_, PeerVerdict::Down) => (1, Reverse(instance)),
            _ => (2, Reverse(instance)),
        };
        self.note(instance, (!ok).then_some(serial), rank);
        if ok && self.rejected.is_none_or(|(best, _)| rank >= best) {
            self.rejected = Some((rank, serial));
        }
        if !may_retry {
            return Some(Ending::Failed);
        }
        if !refuses || !r.refuse(&self.history.refused) {
            return None;
        }
        if let Some((_, response)) = self.rejected {
            return Some(Ending::Response(response));
        }
        // Of those that nobody convicted.
        let first = r.instance_of(self.suspects[0].0);
        let first = self.outcomes.iter_mut().find(|one| one.instance == first);
        first.unwrap().rank = DECIDES;
        Some(Ending::Inconclusive)
    }

    /// Keeps the outcome in place of an earlier one of the same peer.
    fn note(&mut self, instance: u32, error: Option<usize>, rank: Rank) {
        let earlier = self
            .outcomes
            .iter()
            .position(|one| one.instance == instance);
        let at = earlier.unwrap_or(self.outcomes.len());
        let attempts = earlier.map_or(0, |at| self.outcomes[at].attempts);
        let outcome = Outcome {
            instance,
            name: self.name.clone(),
            error,
            attempts: attempts + 1,
            rank,
        };
        self.outcomes
            .splice(at..(at + 1).min(self.outcomes.len()), [outcome]);
    }

    /// Checks how it ended: with this, or as a request that no peer is left for.
    fn ends(
        &mut self,
        r: &mut Reference,
        seen: &Seen<'_>,
        ending: Option<Ending>,
    ) -> Result<(), String> {
        self.release(r);
        let ending = ending.unwrap_or(match self.rejected {
            Some((_, serial)) => Ending::Response(serial),
            None if r.peers.is_empty() => Ending::NoPeers,
            None => Ending::Exhausted,
        });
        let Poll::Ready(outcome) = seen.outcome else {
            return Err(format!("it should have ended with {ending:?}"));
        };
        let found = match outcome {
            Ok(end) => Ending::Response(end.serial),
            Err(Error::Exhausted { .. }) => Ending::Exhausted,
            Err(Error::Failed { .. }) => Ending::Failed,
            Err(Error::Inconclusive { .. }) => Ending::Inconclusive,
            Err(Error::NoPeers) => Ending::NoPeers,
            Err(other) => return Err(format!("it ended with {other:?}")),
        };
        if found != ending {
            return Err(format!("it ended with {found:?}, not with {ending:?}"));
        }
        let Err(error) = outcome else { return Ok(()) };
        if found == Ending::NoPeers {
            return Ok(());
        }
        let (told, due) = (error.next_due(), r.next_due(r.demand(), |_| true));
        let due = due.filter(|_| found == Ending::Exhausted);
        if told.is_some() != due.is_some() || !due.zip(told).is_none_or(|(d, t)| d.contains(t)) {
            return Err(format!("it says the next is due at {told:?}, not {due:?}"));
        }
        let one = |tried: &Tried<End>| match &tried.cause {
            Cause::Error(end) => (tried.peer.to_string(), Some(end.serial), tried.attempts),
            _ => (tried.peer.to_string(), None, tried.attempts),
        };
        let told: Vec<_> = error.tried().iter().map(one).collect();
        let expected = self.outcomes.iter();
        let expected: Vec<_> = expected
            .map(|one| (one.name.clone(), one.error, one.attempts))
            .collect();
        if told != expected {
            return Err(format!("the error names {told:?}, not {expected:?}"));
        }
        let errors = self.outcomes.iter().filter(|one| one.error.is_some());
        let best = errors.max_by_key(|one| one.rank).and_then(|one| one.error);
        let cause = error.cause().map(|end| end.serial);
        if cause != best {
            return Err(format!("its cause is {cause:?}, not {best:?}"));
        }
        Ok(())
    }
}

/// Whether the balancer did this.
fn fits(next: &Next, history: &History, seen: &Seen<'_>) -> Result<(), String> {
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
