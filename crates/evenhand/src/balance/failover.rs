//! What a request does when its first peer does not settle it: another peer, a peer that is due, or
//! a wait. Pick, call, judge, again and again while the verdicts, the limits and the time allow it.
//!
//! A request goes round: it asks each peer that it may go to once, then waits, and starts the next
//! round. What ends it is decided here and nowhere else.

use super::all_down::AllDown;
use super::history::{History, Role};
use super::lazy::Lazy;
use super::rules::RulesFor;
use super::shared::Shared;
use super::wait::Wait;
use crate::attempt::permit::AttemptPermit;
use crate::classify::{PeerVerdict, Retry, Verdict};
use crate::error::{Cause, Error, Rank};
use crate::pick::Pick;
use crate::set::health::Phase;
use crate::set::peer::Peer;

/// What a request does without a peer.
pub(crate) enum NoPeer {
    Wait,
    Yield,
    End,
}

/// A peer for a request that has no history.
#[inline(always)]
pub(crate) fn first_peer<Target, Rules, P: Pick<Key>, Key, T, E>(
    shared: &Shared<Target, Rules>,
    pick: (&P, &Key),
    lazy: &Lazy<Target, T, E>,
) -> Option<AttemptPermit<Target>> {
    if lazy.history().is_some() {
        return None;
    }
    shared.chooser(pick, None).permit()
}

/// The next peer, or what to do without one.
#[cold]
pub(crate) fn next_peer<Target, Rules, P: Pick<Key>, Key, T, E>(
    shared: &Shared<Target, Rules>,
    pick: (&P, &Key),
    lazy: &mut Lazy<Target, T, E>,
) -> Result<AttemptPermit<Target>, NoPeer> {
    let permit = find_peer(shared, pick, lazy)?;
    if let Some(last) = lazy.history().and_then(History::last) {
        let (pool, from, to) = (shared.peers.name(), &*last.peer, permit.peer().name());
        let reason = last.reason;
        tracing::debug!(
            pool,
            from,
            to,
            reason,
            "a request goes on to another attempt"
        );
        shared.meter.went_on(Some((from, reason)), to);
    }
    Ok(permit)
}

fn find_peer<Target, Rules, P: Pick<Key>, Key, T, E>(
    shared: &Shared<Target, Rules>,
    how: (&P, &Key),
    lazy: &mut Lazy<Target, T, E>,
) -> Result<AttemptPermit<Target>, NoPeer> {
    let set = &*shared.peers.set;
    let role = lazy.role();
    let is_late = lazy.is_late();
    let history = lazy.make_history();
    let pick = |history: &History<Target, T, E>| shared.chooser(how, Some(&history.asked)).permit();
    let is_last = history.attempts + history.elsewhere >= shared.limits.attempts;
    if is_last || history.is_spent || is_late {
        return Err(if role == Role::Alone {
            NoPeer::End
        } else {
            NoPeer::Yield
        });
    }
    if role == Role::Hedge {
        return shared
            .chooser(how, Some(&history.asked))
            .up()
            .ok_or(NoPeer::Yield);
    }
    let may_ask = history.wait.as_mut().is_none_or(Wait::may_ask);
    if may_ask && let Some(permit) = pick(history) {
        return Ok(permit);
    }
    if role == Role::First {
        return Err(NoPeer::Yield);
    }
    if history.start_second_pass()
        && let Some(permit) = pick(history)
    {
        return Ok(permit);
    }
    match shared.all_down {
        AllDown::Fail => Err(NoPeer::End),
        AllDown::FailOpen => {
            let chooser = shared.chooser(how, Some(&history.asked));
            chooser.open().ok_or(NoPeer::End)
        }
        AllDown::WaitUpTo(patience) => {
            let mut looks = may_ask;
            let deadline = lazy.deadline(&shared.times);
            let history = lazy.make_history();
            match &mut history.wait {
                Some(wait) if wait.is_over() => return Err(NoPeer::End),
                Some(wait) => looks |= wait.listen(),
                None => {
                    shared.meter.began_to_wait();
                    history.begin_wait(Wait::new(&set.registry, patience, deadline));
                }
            }
            // From here on the request misses nothing. What came just before is found by another
            // look.
            let chooser = shared.chooser(how, Some(&history.asked));
            if looks && let Some(permit) = chooser.permit() {
                return Ok(permit);
            }
            history.asked.start_round();
            let may = |id| history.asked.may_probe(id);
            let due = set.registry.next_due_for_picks(may);
            if let Some(wait) = &mut history.wait {
                wait.set_timer(due, &shared.policy.rng);
            }
            Err(NoPeer::Wait)
        }
    }
}

/// Learns from an outcome that does not settle the request by itself. Returns the request's
/// outcome, or `None` if another peer is to be tried.
#[cold]
pub(crate) fn judge<Target, Rules, Request, T, E>(
    shared: &Shared<Target, Rules>,
    permit: AttemptPermit<Target>,
    verdict: &Verdict,
    outcome: Result<T, Cause<E>>,
    request: Option<&Request>,
    lazy: &mut Lazy<Target, T, E>,
) -> Option<Result<T, Error<E>>>
where
    Target: Send + Sync + 'static,
    Rules: RulesFor<Request, T, E>,
{
    let peer = permit.peer().clone();
    lazy.end_attempt();
    let history = lazy.make_history();
    let id = peer.member().id;
    history.attempts += 1;
    if let Some(wait) = &mut history.wait {
        wait.note_attempt();
    }
    history.asked.add(id);
    if verdict.retry == Retry::IfIdempotent {
        // Before the verdict, as a peer that it ejects may prove itself at once.
        history
            .asked
            .add_unknown(peer.member(), shared.limits.unknown);
    }
    if verdict.peer == PeerVerdict::Healthy {
        let convicted = Verdict::down().because("another peer did what this one refused");
        for suspect in history.convicted(verdict.kind) {
            suspect.settle(&convicted, &shared.policy);
        }
    }
    let mut suspect = None;
    match permit.defer(verdict, &shared.policy) {
        Some(permit) if verdict.peer == PeerVerdict::Suspect => suspect = Some(permit),
        Some(permit) => permit.settle(verdict, &shared.policy),
        // A ticket decides about the peer, not about the request.
        None => {}
    }
    let may_retry = match request {
        Some(request) => match verdict.retry {
            Retry::Never => false,
            Retry::Safe | Retry::Busy => true,
            Retry::IfIdempotent => shared.rules.is_idempotent(request),
        },
        // The other leg is on another peer already.
        None => history.role != Role::Alone && verdict.retry != Retry::Never,
    };
    let refuses = verdict.peer == PeerVerdict::Suspect;
    if refuses && may_retry {
        history.suspect(id, suspect, verdict.kind);
    } else if verdict.retry == Retry::Busy {
        history.add_busy(id);
    }
    let outcome = match outcome {
        Ok(response) if !may_retry => return Some(Ok(response)),
        outcome => outcome,
    };
    let rank = if may_retry {
        Rank::new(verdict, id)
    } else {
        Rank::DECIDES
    };
    history.add(&peer, verdict, outcome, rank);
    let is_refused = || {
        let (refused, there) = (history.asked.refused(), shared.peers.set.snapshot());
        let serves = |peer: &Peer<Target>| peer.member().health.read().phase != Phase::Draining;
        let mut others = there.peers().iter().filter(|peer| serves(peer));
        refused.len() >= shared.limits.refusals
            || others.all(|peer| refused.contains(&peer.member().id))
    };
    let ends = refuses && is_refused();
    if may_retry && !ends {
        let may_go_on = history.attempts + history.elsewhere < shared.limits.attempts;
        history.is_spent = may_go_on && !shared.has_budget();
        return None;
    }
    if may_retry {
        history.decide_by_first_refusal();
    }
    let (tried, rejected) = std::mem::take(history).into_tried();
    Some(match rejected {
        Some(response) if may_retry => Ok(response),
        _ if may_retry => Err(Error::Inconclusive { tried }),
        _ => Err(Error::Failed { tried }),
    })
}

/// The outcome of a request for which no peer is left.
#[cold]
pub(crate) fn give_up<Target, Rules, T, E>(
    shared: &Shared<Target, Rules>,
    lazy: &mut Lazy<Target, T, E>,
) -> Result<T, Error<E>> {
    let set = &*shared.peers.set;
    let (is_late, mut history) = (lazy.is_late(), lazy.take_history());
    // First, so that a suspect that was a probe is among the peers whose due time is told.
    history.clear_suspects();
    let attempts = history.attempts;
    let (tried, rejected) = history.into_tried();
    if let Some(response) = rejected {
        return Ok(response);
    }
    let snapshot = set.snapshot();
    if snapshot.peers().is_empty() {
        return Err(Error::NoPeers);
    }
    let weightless = snapshot.offer().is_weightless() && set.registry.up() > 0;
    if attempts == 0 && weightless {
        return Err(Error::ZeroWeight);
    }
    let drains = |peer: &Peer<Target>| peer.member().health.read().phase == Phase::Draining;
    if attempts == 0 && snapshot.peers().iter().all(drains) {
        return Err(Error::Drained);
    }
    let next_due = set.registry.next_due();
    Err(if is_late {
        Error::TimedOut { tried, next_due }
    } else {
        Error::Exhausted { tried, next_due }
    })
}

/// Adds the attempt that was in flight when the request's deadline passed. Its peer is not to blame:
/// it may have been asked a moment ago.
#[cold]
pub(crate) fn note_late<Target, T, E>(
    permit: &AttemptPermit<Target>,
    lazy: &mut Lazy<Target, T, E>,
) {
    let (peer, history) = (permit.peer(), lazy.make_history());
    let verdict = Verdict::neutral().because("no answer by the deadline");
    let rank = Rank::new(&verdict, peer.member().id);
    history.attempts += 1;
    history.add(peer, &verdict, Err(Cause::TimedOut), rank);
}
