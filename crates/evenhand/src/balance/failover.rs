//! What a request does when its first peer does not settle it: another peer, a peer that is due, or
//! a wait. Pick, call, judge, again and again while the verdicts allow it.

use std::future::Future;
use std::task::{Context, Poll, ready};

use super::all_down::AllDown;
use super::history::{History, LazyHistory, Role, Wait, role};
use super::rules::RulesFor;
use super::shared::Shared;
use crate::attempt::permit::AttemptPermit;
use crate::classify::{PeerVerdict, Retry, Verdict};
use crate::error::{Cause, Error, Tried};
use crate::pick::Pick;

/// What a request does without a peer.
pub(crate) enum NoPeer {
    Wait,
    Yield,
    End,
}

/// A peer for a request that has no history.
#[inline]
pub(crate) fn first_peer<Target, Rules: Pick, T, E>(
    shared: &Shared<Target, Rules>,
    history: &LazyHistory<Target, T, E>,
) -> Option<AttemptPermit<Target>> {
    if history.is_some() {
        return None;
    }
    shared.chooser(&[]).permit()
}

/// The next peer, or what to do without one.
#[cold]
pub(crate) fn next_peer<Target, Rules: Pick, T, E>(
    shared: &Shared<Target, Rules>,
    history: &mut LazyHistory<Target, T, E>,
) -> Result<AttemptPermit<Target>, NoPeer> {
    let set = &*shared.peers.set;
    let pick = |tried: &[u64]| shared.chooser(tried).permit();
    let role = role(history);
    let tried = history.as_ref().map_or(&[][..], |history| &history.tried);
    if role == Role::Hedge {
        return shared.chooser(tried).up().ok_or(NoPeer::Yield);
    }
    if let Some(permit) = pick(tried) {
        return Ok(permit);
    }
    if role == Role::First {
        return Err(NoPeer::Yield);
    }
    if let Some(history) = history.as_mut() {
        if history.start_second_pass()
            && let Some(permit) = pick(&history.tried)
        {
            return Ok(permit);
        }
        // A peer that is suspected is up, and a response that was rejected is better than none.
        if history.suspect.is_some() || history.rejected.is_some() {
            return Err(NoPeer::End);
        }
    }
    match shared.all_down {
        AllDown::Fail => Err(NoPeer::End),
        AllDown::LastResort => {
            let history = history.get_or_insert_default();
            if std::mem::replace(&mut history.last_resort, true) {
                return Err(NoPeer::End);
            }
            let chooser = shared.chooser(&history.tried);
            chooser.last_resort().ok_or(NoPeer::End)
        }
        AllDown::WaitUpTo(patience) => {
            let (up, members) = (set.registry.up(), set.snapshot().peers().len());
            if members > 0 && up == members {
                // No peer is out, so none can come back. (An empty set may yet get a peer.)
                return Err(NoPeer::End);
            }
            let history = history.get_or_insert_default();
            let wait = match &mut history.wait {
                Some(wait) if wait.is_over() => return Err(NoPeer::End),
                Some(wait) => {
                    wait.listen(&set.registry.available);
                    wait
                }
                none => none.insert(Wait::new(&set.registry.available, patience)),
            };
            // From here on the request listens, but not to what its own attempts brought about. What
            // came just before is found by another look: a peer that was tried and is out may be
            // back.
            history.tried.clone_from(&history.still_up);
            if let Some(permit) = pick(&history.tried) {
                return Ok(permit);
            }
            wait.ring_at(set.registry.next_due_for_picks(&history.tried));
            Err(NoPeer::Wait)
        }
    }
}

/// Waits until a peer may be available. Returns false if the deadline came first.
#[cold]
pub(crate) fn poll_wait<Target, T, E>(
    history: &mut History<Target, T, E>,
    cx: &mut Context<'_>,
) -> Poll<bool> {
    let Some(wait) = &mut history.wait else {
        return Poll::Ready(false);
    };
    if wait.available.as_mut().poll(cx).is_pending() {
        ready!(wait.timer.as_mut().poll(cx));
        // A peer that was due before the deadline is tried, however late the timer rings.
        if wait.timer.deadline() >= wait.deadline {
            return Poll::Ready(false);
        }
    }
    // The peer that may be available may be one that this request has tried.
    history.tried.clear();
    history.still_up.clear();
    Poll::Ready(true)
}

/// Learns from an outcome that does not settle the request by itself. Returns the request's
/// outcome, or `None` if another peer is to be tried.
#[cold]
pub(crate) fn judge<Target, Rules, Request, T, E>(
    shared: &Shared<Target, Rules>,
    permit: AttemptPermit<Target>,
    verdict: &Verdict,
    outcome: Result<T, E>,
    request: Option<&Request>,
    history: &mut LazyHistory<Target, T, E>,
) -> Option<Result<T, Error<E>>>
where
    Rules: RulesFor<Request, T, E>,
{
    let peer = permit.peer().clone();
    let history = history.get_or_insert_default();
    let mut agreed = false;
    match (verdict.peer, history.suspect.take()) {
        (PeerVerdict::Suspect, None) => history.suspect = Some(permit),
        // Both peers refuse: both permits are released, and no peer is blamed.
        (PeerVerdict::Suspect, Some(_)) => agreed = true,
        (PeerVerdict::Healthy, Some(suspect)) => {
            let convicted = Verdict::down().because("another peer did what this one refused");
            suspect.settle(&convicted, &shared.policy);
            permit.settle(verdict, &shared.policy);
        }
        (_, suspect) => {
            history.suspect = suspect;
            permit.settle(verdict, &shared.policy);
        }
    }

    let may_retry = !agreed
        && match request {
            Some(request) => match verdict.retry {
                Retry::Never => false,
                Retry::Safe | Retry::Busy => true,
                Retry::IfIdempotent => shared.rules.is_idempotent(request),
            },
            // The other leg is on another peer already.
            None => history.role != Role::Alone && verdict.retry != Retry::Never,
        };
    let id = peer.member().id;
    history.tried.push(id);
    // A probe that said nothing leaves its peer due, so that it could be probed again at once.
    if peer.is_up() || peer.is_due() {
        history.still_up.push(id);
    }
    // Another peer decides about a suspect, not the suspect.
    if verdict.retry == Retry::Busy && verdict.peer != PeerVerdict::Suspect {
        history.busy.push(id);
    }
    let (cause, rejected) = match outcome {
        Ok(response) if !may_retry => return Some(Ok(response)),
        Ok(response) => (Cause::Rejected, Some(response)),
        Err(error) => (Cause::Error(error), None),
    };
    history.rejected = rejected;
    history.attempts.push(Tried {
        peer: peer.shared_name(),
        reason: verdict.reason,
        cause,
    });
    if may_retry {
        return None;
    }
    let tried = std::mem::take(&mut history.attempts);
    Some(Err(if agreed {
        Error::Inconclusive { tried }
    } else {
        Error::Failed { tried }
    }))
}

/// The outcome of a request for which no peer is left.
#[cold]
pub(crate) fn give_up<Target, Rules, T, E>(
    shared: &Shared<Target, Rules>,
    mut history: History<Target, T, E>,
) -> Result<T, Error<E>> {
    let set = &*shared.peers.set;
    // First, so that a suspect that was a probe is among the peers whose due time is told.
    history.suspect = None;
    if let Some(response) = history.rejected {
        return Ok(response);
    }
    let snapshot = set.snapshot();
    if snapshot.peers().is_empty() {
        return Err(Error::NoPeers);
    }
    let weightless = snapshot.weights().last() == Some(&0) && set.registry.up() > 0;
    if history.attempts.is_empty() && weightless {
        return Err(Error::ZeroWeight);
    }
    Err(Error::Exhausted {
        tried: history.attempts,
        next_due: set.registry.next_due(),
    })
}
