//! One request that needs more than a draw: a peer that is due, another peer than the first one,
//! patience, or a second leg. Pick → call → judge, again and again while the verdict allows it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tower_service::Service;

use crate::attempt::Attempt;
use crate::classify::{Classify, PeerVerdict, Retry, Verdict};
use crate::error::{Cause, Error, Tried};
use crate::future::{ResponseFuture, Step, StepProj, attempt, polled_too_often};
use crate::health::Phase;
use crate::history::{History, Past, Role, Wait, listen};
use crate::layer::AllDown;
use crate::pick::Pick;
use crate::place::Place;
use crate::probe::Alarm;
use crate::replay::Replay;
use crate::service::{Handle, Shared};

impl<S, P, R, C, Y, K> ResponseFuture<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
{
    /// Goes on from wherever the request is; `ready` says that the connector is, to begin with.
    #[inline(never)]
    pub(crate) fn fail_over(
        mut self: Pin<&mut Self>,
        mut ready: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error<S::Error>>> {
        loop {
            let mut this = self.as_mut().project();
            let Handle { shared, .. } = &**this.handle;
            match this.step.as_mut().project() {
                StepProj::Start | StepProj::Pick => {
                    if !std::mem::take(&mut ready)
                        && let Err(error) = ready!(this.connector.poll_ready(cx))
                    {
                        if this.history.role() != Role::Alone {
                            this.step.set(Step::Yielded);
                            continue;
                        }
                        return Poll::Ready(Err(self.unready(error)));
                    }
                    let picked = match **this.history {
                        None => {
                            let set = &shared.peers.set;
                            Place::pick_at_once(set, &shared.pick, &shared.policy.random)
                        }
                        Some(_) => None,
                    };
                    match picked.map_or_else(|| pick(shared, this.history), Ok) {
                        Ok(place) => {
                            let (peer, standing) = (place.peer().clone(), place.standing());
                            let mut attempt = attempt(shared, peer, standing, this.request);
                            if this.history.as_deref().is_some_and(|h| h.came_back) {
                                attempt = attempt.coming_back();
                            }
                            let future = this.connector.call(attempt);
                            let place = Some(place);
                            this.step.set(Step::Call { future, place });
                        }
                        Err(NoneLeft::Wait) => {
                            // Readiness may be a permit that others need while this one waits.
                            *this.connector = this.connector.clone();
                            this.step.set(Step::Wait);
                        }
                        Err(NoneLeft::Yield) => this.step.set(Step::Yielded),
                        Err(NoneLeft::End) => {
                            this.step.set(Step::Done);
                            return Poll::Ready(give_up(shared, this.history.take()));
                        }
                    }
                }
                StepProj::Call { future, place } => {
                    let outcome = ready!(future.poll(cx));
                    let Some(place) = place.take() else {
                        polled_too_often()
                    };
                    let verdict = shared.classify.classify(outcome.as_ref());
                    let outcome = match outcome {
                        Ok(response)
                            if verdict.peer == PeerVerdict::Healthy
                                && verdict.retry == Retry::Never
                                && this.history.is_none()
                                && place.settle_healthy(&shared.policy) =>
                        {
                            this.step.set(Step::Done);
                            return Poll::Ready(Ok(response));
                        }
                        outcome => outcome,
                    };
                    let learnt = self.as_mut().learn(place, &verdict, outcome);
                    if let Some(outcome) = learnt {
                        return Poll::Ready(outcome);
                    }
                }
                StepProj::Wait => {
                    let Some(history) = this.history.as_mut() else {
                        polled_too_often()
                    };
                    let Some(wait) = &mut history.wait else {
                        polled_too_often()
                    };
                    if wait.available.as_mut().poll(cx).is_pending() {
                        ready!(wait.deadline.as_mut().poll(cx));
                        this.step.set(Step::Done);
                        return Poll::Ready(give_up(shared, this.history.take()));
                    }
                    // Whoever comes back may be one that this request has tried.
                    history.excluded.clear();
                    history.spared.clear();
                    this.step.set(Step::Pick);
                }
                StepProj::Yielded => return Poll::Pending,
                // What was drawn is never polled here.
                StepProj::Drawn { .. } | StepProj::Done => polled_too_often(),
            }
        }
    }

    /// Ends a request whose connector failed before a peer was picked.
    #[cold]
    pub(crate) fn unready(self: Pin<&mut Self>, error: S::Error) -> Error<S::Error> {
        let mut this = self.project();
        this.step.set(Step::Done);
        **this.history = None;
        Error::NotReady(error)
    }

    /// Learns from an outcome that does not settle the request by itself. Gives the request's
    /// outcome, or else takes its next step.
    #[cold]
    pub(crate) fn learn(
        self: Pin<&mut Self>,
        place: Place<P>,
        verdict: &Verdict,
        outcome: Result<S::Response, S::Error>,
    ) -> Option<Result<S::Response, Error<S::Error>>> {
        let mut this = self.project();
        let shared = &this.handle.shared;
        let outcome = judge(shared, place, verdict, outcome, this.request, this.history);
        if outcome.is_some() {
            this.step.set(Step::Done);
            // A suspect's place is free now, not when the future is dropped.
            **this.history = None;
        } else if this.request.is_none() {
            this.step.set(Step::Yielded);
        } else {
            this.step.set(Step::Pick);
        }
        outcome
    }
}

enum NoneLeft {
    Wait,
    Yield,
    End,
}

/// The next peer, or what to do without one, where that needs thought.
#[cold]
fn pick<P, C, Y, K, T, E>(
    shared: &Shared<P, C, Y, K>,
    history: &mut Past<P, T, E>,
) -> Result<Place<P>, NoneLeft>
where
    P: Send + Sync + 'static,
    K: Pick,
{
    let set = &*shared.peers.set;
    if set.view().untimed {
        Alarm::adopt(set, &shared.policy);
    }
    let random = &shared.policy.random;
    let excluded = history.excluded();
    let role = history.role();
    if role == Role::Hedge {
        return Place::pick_up(set, &shared.pick, random, excluded).ok_or(NoneLeft::Yield);
    }
    if let Some(place) = Place::pick(set, &shared.pick, random, excluded) {
        return Ok(place);
    }
    if role == Role::Alone
        && let Some(history) = history.as_mut()
        && history.come_back()
        && let Some(place) = Place::pick(set, &shared.pick, random, &history.excluded)
    {
        return Ok(place);
    }
    match shared.all_down {
        _ if role == Role::First => Err(NoneLeft::Yield),
        // A peer that is suspected is up, and a response that was turned down is better than none.
        _ if history
            .as_deref()
            .is_some_and(|h| h.suspect.is_some() || h.rejected.is_some()) =>
        {
            Err(NoneLeft::End)
        }
        AllDown::Fail => Err(NoneLeft::End),
        AllDown::LastResort => {
            let history = history.get_or_insert_default();
            if std::mem::replace(&mut history.last_resort, true) {
                return Err(NoneLeft::End);
            }
            Place::last_resort(set, &history.excluded).ok_or(NoneLeft::End)
        }
        AllDown::WaitUpTo(patience) => {
            let view = set.view();
            if view.members() > 0 && view.up.len() == view.members() {
                // Nobody is out, so nobody can come back. (An empty set may yet get a peer.)
                return Err(NoneLeft::End);
            }
            let history = history.get_or_insert_default();
            match &mut history.wait {
                None => history.wait = Some(Wait::new(&set.available, patience)),
                Some(wait) if wait.deadline.deadline() <= Instant::now() => {
                    return Err(NoneLeft::End);
                }
                Some(wait) => wait.available = listen(&set.available),
            }
            // It listens from here on, not to what its own attempts brought about. What came just
            // before is found by looking once more: a peer that was tried and is out may be back.
            history.excluded.clone_from(&history.spared);
            if let Some(place) = Place::pick(set, &shared.pick, random, &history.excluded) {
                return Ok(place);
            }
            Err(NoneLeft::Wait)
        }
    }
}

/// Learns from an outcome that does not settle the request by itself. Gives the request's outcome,
/// or `None` if another peer is to be tried.
fn judge<P, C, Y, K, R, T, E>(
    shared: &Shared<P, C, Y, K>,
    place: Place<P>,
    verdict: &Verdict,
    outcome: Result<T, E>,
    request: &Option<R>,
    history: &mut Past<P, T, E>,
) -> Option<Result<T, Error<E>>>
where
    P: Send + Sync + 'static,
    Y: Replay<R>,
{
    let member = place.member().clone();
    let history = history.get_or_insert_default();
    let mut agreed = false;
    match (verdict.peer, history.suspect.take()) {
        (PeerVerdict::Suspect, None) => history.suspect = Some(place),
        // Both say so: both places are given back, and nobody is blamed.
        (PeerVerdict::Suspect, Some(_)) => agreed = true,
        (PeerVerdict::Healthy, Some(suspect)) => {
            let convicted = Verdict::down().because("another peer did what this one refused");
            suspect.settle(&convicted, &shared.policy);
            place.settle(verdict, &shared.policy);
        }
        (_, suspect) => {
            history.suspect = suspect;
            place.settle(verdict, &shared.policy);
        }
    }

    let may_retry = !agreed
        && match request {
            Some(request) => match verdict.retry {
                Retry::Never => false,
                Retry::Safe | Retry::Again => true,
                Retry::IfIdempotent => shared.replay.is_idempotent(request),
            },
            // The other leg is on another peer already.
            None => history.role != Role::Alone && verdict.retry != Retry::Never,
        };
    history.excluded.push(member.id);
    if matches!(member.health.read().phase, Phase::Up | Phase::Due) {
        history.spared.push(member.id);
    }
    // Of a suspect another peer decides, not itself.
    if verdict.retry == Retry::Again && verdict.peer != PeerVerdict::Suspect {
        history.left.push(member.id);
    }
    let (cause, rejected) = match outcome {
        Ok(response) if !may_retry => return Some(Ok(response)),
        Ok(response) => (Cause::Rejected(verdict.reason), Some(response)),
        Err(error) => (Cause::Error(error), None),
    };
    history.rejected = rejected;
    history.tried.push(Tried {
        peer: member.name.clone(),
        cause,
    });
    if may_retry {
        return None;
    }
    let tried = std::mem::take(&mut history.tried);
    Some(Err(if agreed {
        Error::Agreed { tried }
    } else {
        Error::Failed { tried }
    }))
}

/// The outcome of a request for which no peer is left.
fn give_up<P, C, Y, K, T, E>(
    shared: &Shared<P, C, Y, K>,
    history: Option<Box<History<P, T, E>>>,
) -> Result<T, Error<E>> {
    let set = &*shared.peers.set;
    let mut history = history.map_or_else(History::default, |history| *history);
    // First, so that a suspect that was a probe is among those whose due time is told.
    history.suspect = None;
    if let Some(response) = history.rejected {
        return Ok(response);
    }
    let view = set.view();
    if view.members() == 0 {
        return Err(Error::NoPeers);
    }
    if history.tried.is_empty() && view.weights.last() == Some(&0) {
        return Err(Error::NonePicked);
    }
    Err(Error::NoneLeft {
        tried: history.tried,
        next_due: set.next_due(),
    })
}
