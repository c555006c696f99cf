//! One request as the reference sees it: what it has tried, what it waits for, and what must come
//! next.

use std::task::Poll;

use evenhand::{Cause, Error, PeerVerdict, Retry, Verdict};
use tokio::time::Instant;

use crate::controlled_connector::{End, Request, Started};
use crate::reference::{AllDown, Allowed, Reference};

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
    Waits(Instant),
}

/// An attempt that did not settle the request: the peer, the attempt, and whether it was a
/// response.
#[derive(Debug, PartialEq, Eq)]
struct Tried(String, Option<usize>);

pub(crate) struct Asked {
    request: Request,
    phase: Phase,
    /// The peer of its latest attempt.
    name: String,
    /// Peers that it does not try again.
    tried: Vec<u32>,
    /// Tried peers that were still up or due after the attempt.
    still_up: Vec<u32>,
    /// Tried peers that were busy.
    busy: Vec<u32>,
    /// Whether the second pass, over the busy peers, has begun.
    second_pass: bool,
    failures: Vec<Tried>,
    suspect: Option<usize>,
    /// The latest outcome, if it was a response that was rejected.
    rejected: Option<usize>,
    patience: Option<Instant>,
    /// The candidates when it began to wait, all of them tried, and their eras.
    known: Vec<(u32, u64)>,
    last_resort: bool,
    /// How its attempt ends, once the test has decided.
    pub(crate) told: Option<(bool, Verdict)>,
}

/// What the balancer did in one poll.
pub(crate) struct Seen<'a> {
    pub(crate) started: Option<&'a Started>,
    pub(crate) outcome: &'a Poll<Result<End, Error<End>>>,
}

impl Asked {
    pub(crate) fn new(request: Request) -> Self {
        Self {
            request,
            phase: Phase::Begins,
            name: String::new(),
            tried: Vec::new(),
            still_up: Vec::new(),
            busy: Vec::new(),
            second_pass: false,
            failures: Vec::new(),
            suspect: None,
            rejected: None,
            patience: None,
            known: Vec::new(),
            last_resort: false,
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

    pub(crate) fn waits_until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waits(until) => Some(until),
            _ => None,
        }
    }

    /// The caller drops it. It releases its permits in the order in which the future does.
    pub(crate) fn cancel(self, reference: &mut Reference) {
        if let Some(suspect) = self.suspect {
            reference.close(suspect);
        }
        if let Phase::Calls(serial) = self.phase {
            reference.close(serial);
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
                None if seen.started.is_none() && seen.outcome.is_pending() => return Ok(()),
                None => return Err("it moved on before its attempt ended".into()),
            },
            _ => None,
        };
        if let Some(ending) = ending {
            return self.ends(r, seen, &ending);
        }
        self.look(r, seen)
    }

    /// Looks for a peer, as the balancer must have done.
    fn look(&mut self, r: &mut Reference, seen: &Seen<'_>) -> Result<(), String> {
        let late = self.patience.is_some_and(|until| until <= Instant::now());
        if matches!(self.phase, Phase::Waits(_)) && seen.started.is_none() {
            let missed = r.candidates();
            // A peer that was due only after the deadline need not be tried.
            let too_late = |instance: u32| {
                let due = r.peer(instance).and_then(|peer| peer.due());
                due.is_some_and(|due| self.patience.is_some_and(|until| until <= due))
            };
            let mut new = missed.iter().filter(|peer| !self.known.contains(peer));
            if new.any(|(instance, _)| !too_late(*instance)) {
                return Err(format!("it waits although {missed:?} can be tried"));
            }
            if late {
                let ending = give_up(r, self.rejected);
                return self.ends(r, seen, &ending);
            }
            return self.waits(r, seen);
        }
        if matches!(self.phase, Phase::Waits(_)) {
            // It was woken, so peers that it has tried may have recovered.
            self.tried.clear();
            self.still_up.clear();
        }
        let mut allowed = r.allowed(&self.tried);
        if allowed == Allowed::NoPeer && !self.second_pass && !self.busy.is_empty() {
            self.second_pass = true;
            self.tried.retain(|id| !self.busy.contains(id));
            self.still_up.retain(|id| !self.busy.contains(id));
            allowed = r.allowed(&self.tried);
        }
        if allowed == Allowed::NoPeer {
            let all_up = !r.peers.is_empty() && r.up() == r.peers.len();
            let ends = self.suspect.is_some() || self.rejected.is_some();
            match r.rules.all_down {
                AllDown::LastResort if !ends && !self.last_resort => {
                    self.last_resort = true;
                    allowed = r.last_resort(&self.tried);
                }
                AllDown::Wait(patience) if !ends && !all_up && !late => {
                    let until = *self.patience.get_or_insert(Instant::now() + patience);
                    self.phase = Phase::Waits(until);
                    self.known = r.candidates();
                    // It looks once more after it starts to listen: ejected peers may have
                    // recovered.
                    self.tried.clone_from(&self.still_up);
                    allowed = r.allowed(&self.tried);
                    if allowed == Allowed::NoPeer {
                        return self.waits(r, seen);
                    }
                }
                _ => {}
            }
        }
        match allowed {
            Allowed::NoPeer => {
                let ending = give_up(r, self.rejected);
                self.ends(r, seen, &ending)
            }
            Allowed::Up(those) => self.goes(r, seen, &those, false),
            Allowed::Probe(those) => self.goes(r, seen, &those, true),
        }
    }

    fn goes(
        &mut self,
        r: &mut Reference,
        seen: &Seen<'_>,
        those: &[u32],
        probe: bool,
    ) -> Result<(), String> {
        let Some(started) = seen.started else {
            return Err(format!("no attempt started, of {those:?}, probe: {probe}"));
        };
        if !those.contains(&started.instance) || started.probe != probe {
            return Err(format!(
                "the attempt on {} {} (probe: {}) is not among {those:?}, probe: {probe}",
                started.name, started.instance, started.probe
            ));
        }
        if started.second_pass != self.second_pass {
            return Err(format!(
                "the attempt on {} second pass: {}, the request has: {}",
                started.name, started.second_pass, self.second_pass
            ));
        }
        if seen.outcome.is_ready() {
            return Err("it ended with its attempt under way".into());
        }
        r.picked(started.serial, started.instance, started.ticket.is_some());
        self.phase = Phase::Calls(started.serial);
        self.name.clone_from(&started.name);
        Ok(())
    }

    fn waits(&mut self, r: &Reference, seen: &Seen<'_>) -> Result<(), String> {
        match seen.started {
            None if seen.outcome.is_pending() => Ok(()),
            None => Err(format!("it ended while it should wait: {:?}", seen.outcome)),
            Some(started) => Err(format!(
                "attempt on {} {}, while no peer is left: {:?}",
                started.name,
                started.instance,
                r.peer(started.instance)
            )),
        }
    }

    fn judge(
        &mut self,
        r: &mut Reference,
        serial: usize,
        ok: bool,
        verdict: &Verdict,
    ) -> Option<Ending> {
        let name = self.name.clone();
        let mut inconclusive = false;
        match (verdict.peer, self.suspect.take()) {
            (PeerVerdict::Suspect, None) => self.suspect = Some(serial),
            (PeerVerdict::Suspect, Some(first)) => {
                inconclusive = true;
                r.close(first);
                r.close(serial);
            }
            (PeerVerdict::Healthy, Some(first)) => {
                let convicted = Verdict::down().because("another peer did what this one refused");
                r.report(first, &convicted);
                r.close(first);
                r.report(serial, verdict);
                r.close(serial);
            }
            (_, suspect) => {
                self.suspect = suspect;
                r.report(serial, verdict);
                r.close(serial);
            }
        }
        let instance = r.instance_of(serial);
        self.tried.push(instance);
        if r.candidates().iter().any(|(id, _)| *id == instance) {
            self.still_up.push(instance);
        }
        if verdict.retry == Retry::Busy && verdict.peer != PeerVerdict::Suspect {
            self.busy.push(instance);
        }
        let retry = match verdict.retry {
            Retry::Never => false,
            Retry::Safe | Retry::Busy => true,
            Retry::IfIdempotent => self.request.idempotent,
            other => panic!("the reference does not know {other:?}"),
        };
        let retry = retry && self.request.copied && !inconclusive;
        self.rejected = ok.then_some(serial);
        if ok && !retry {
            return Some(Ending::Response(serial));
        }
        self.failures.push(Tried(name, (!ok).then_some(serial)));
        match (retry, inconclusive) {
            (true, _) => None,
            (false, true) => Some(Ending::Inconclusive),
            (false, false) => Some(Ending::Failed),
        }
    }

    fn ends(&mut self, r: &mut Reference, seen: &Seen<'_>, ending: &Ending) -> Result<(), String> {
        if let Some(suspect) = self.suspect.take() {
            r.close(suspect);
        }
        let Poll::Ready(outcome) = seen.outcome else {
            return Err(format!("it should have ended with {ending:?}"));
        };
        let (found, tried) = match outcome {
            Ok(end) => (Ending::Response(end.serial), None),
            Err(error @ Error::Exhausted { .. }) => (Ending::Exhausted, Some(error.tried())),
            Err(error @ Error::Failed { .. }) => (Ending::Failed, Some(error.tried())),
            Err(error @ Error::Inconclusive { .. }) => (Ending::Inconclusive, Some(error.tried())),
            Err(Error::NoPeers) => (Ending::NoPeers, None),
            Err(other) => return Err(format!("it ended with {other:?}")),
        };
        if let Err(error @ Error::Exhausted { .. }) = outcome
            && error.next_due() != r.next_due()
        {
            let (told, due) = (error.next_due(), r.next_due());
            return Err(format!("it says the next is due at {told:?}, not {due:?}"));
        }
        if found != *ending {
            return Err(format!("it ended with {found:?}, not with {ending:?}"));
        }
        let told = tried.map(|tried| {
            let one = |tried: &evenhand::Tried<End>| {
                let error = match &tried.cause {
                    Cause::Error(end) => Some(end.serial),
                    _ => None,
                };
                Tried(tried.peer.to_string(), error)
            };
            tried.iter().map(one).collect::<Vec<_>>()
        });
        match told {
            Some(told) if told != self.failures => Err(format!(
                "the error names {told:?}, but {:?} were tried",
                self.failures
            )),
            _ => Ok(()),
        }
    }
}

fn give_up(r: &Reference, rejected: Option<usize>) -> Ending {
    match rejected {
        Some(serial) => Ending::Response(serial),
        None if r.peers.is_empty() => Ending::NoPeers,
        None => Ending::Exhausted,
    }
}
