//! One request, from its first pick to its outcome: ready → pick → call → judge, and again with
//! another peer while the verdict allows it.
//!
//! The connector is made ready before a peer is picked, so a pick is never stale by the time it is
//! used, and a probe's place is never held by a request that cannot be sent yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use crate::attempt::Attempt;
use crate::classify::{Classify, PeerVerdict, Retry, Verdict};
use crate::error::{Cause, Error, Tried};
use crate::health::Phase;
use crate::history::{History, Role, Wait, listen};
use crate::layer::AllDown;
use crate::pick::Pick;
use crate::place::Place;
use crate::replay::Replay;
use crate::service::Shared;

pin_project! {
    /// The response of a [`Balance`](crate::Balance).
    ///
    /// Dropping it at any point drops the attempt that is under way and nothing else: no peer is
    /// blamed for it, and a probe's place is free at once.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S, P, R, C, Y, K>
    where
        S: Service<Attempt<P, R>>,
    {
        pub(crate) shared: Arc<Shared<P, C, Y, K>>,
        pub(crate) connector: S,
        // What the next attempt sends. Gone while the only copy is under way.
        pub(crate) request: Option<R>,
        pub(crate) history: Option<Box<History<P, S::Response, S::Error>>>,
        #[pin]
        pub(crate) step: Step<S::Future, P>,
    }
}

pin_project! {
    #[project = StepProj]
    pub(crate) enum Step<F, P> {
        Pick,
        Call {
            #[pin]
            future: F,
            place: Option<Place<P>>,
        },
        Wait,
        // One of two legs of a hedged request, and the other is to decide.
        Yielded,
        Done,
    }
}

impl<S, P, R, C, Y, K> ResponseFuture<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>>,
{
    pub(crate) fn new(shared: Arc<Shared<P, C, Y, K>>, connector: S, request: R) -> Self {
        Self {
            shared,
            connector,
            request: Some(request),
            history: None,
            step: Step::Pick,
        }
    }

    /// Ends the request here, as dropping it would, and tells what was tried so far: for a caller
    /// whose own time limit has passed. Not to be polled afterwards.
    pub fn abandon(self: Pin<&mut Self>) -> Error<S::Error> {
        let mut this = self.project();
        this.step.set(Step::Done);
        let tried = this
            .history
            .take()
            .map(|history| history.tried)
            .unwrap_or_default();
        Error::NoneLeft {
            tried,
            next_due: this.shared.peers.set.next_due(),
        }
    }
}

impl<S, P, R, C, Y, K> Future for ResponseFuture<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
{
    type Output = Result<S::Response, Error<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let shared = &**this.shared;
        loop {
            match this.step.as_mut().project() {
                StepProj::Pick => {
                    if let Err(error) = ready!(this.connector.poll_ready(cx)) {
                        if is_leg(this.history) {
                            this.step.set(Step::Yielded);
                            continue;
                        }
                        this.step.set(Step::Done);
                        *this.history = None;
                        return Poll::Ready(Err(Error::NotReady(error)));
                    }
                    let at_once = match this.history {
                        None => {
                            let set = &shared.peers.set;
                            Place::pick_at_once(set, &shared.pick, &shared.policy.random)
                        }
                        Some(_) => None,
                    };
                    let picked = match at_once {
                        Some(place) => Ok(place),
                        None => pick(shared, this.history),
                    };
                    match picked {
                        Ok(place) => {
                            let Some(request) = this.request.take() else {
                                polled_too_often()
                            };
                            *this.request = shared.replay.copy(&request);
                            let attempt = Attempt::new(&place, request, &shared.policy);
                            let future = this.connector.call(attempt);
                            this.step.set(Step::Call {
                                future,
                                place: Some(place),
                            });
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
                    let verdict = shared.classify.classify(outcome.as_ref());
                    let settled =
                        verdict.peer == PeerVerdict::Healthy && verdict.retry == Retry::Never;
                    let outcome = match outcome {
                        Ok(response)
                            if settled
                                && this.history.is_none()
                                && place
                                    .as_ref()
                                    .is_some_and(|p| p.settle_healthy(&shared.policy)) =>
                        {
                            this.step.set(Step::Done);
                            return Poll::Ready(Ok(response));
                        }
                        outcome => outcome,
                    };
                    let Some(place) = place.take() else {
                        polled_too_often()
                    };
                    let next = judge(shared, place, &verdict, outcome, this.request, this.history);
                    match next {
                        Some(outcome) => {
                            this.step.set(Step::Done);
                            // A suspect's place is free now, not when the future is dropped.
                            *this.history = None;
                            return Poll::Ready(outcome);
                        }
                        None if this.request.is_none() => this.step.set(Step::Yielded),
                        None => this.step.set(Step::Pick),
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
                StepProj::Done => polled_too_often(),
            }
        }
    }
}

#[expect(
    clippy::panic,
    reason = "the contract of `Future`: not to be polled after completion"
)]
fn polled_too_often() -> ! {
    panic!("`ResponseFuture` polled after completion")
}

enum NoneLeft {
    Wait,
    Yield,
    End,
}

/// Whether another leg of the same request is under way.
fn is_leg<P, T, E>(history: &Option<Box<History<P, T, E>>>) -> bool {
    history.as_deref().is_some_and(|h| h.role != Role::Alone)
}

/// The next peer, or what to do without one, where that needs thought.
#[cold]
fn pick<P, C, Y, K: Pick, T, E>(
    shared: &Shared<P, C, Y, K>,
    history: &mut Option<Box<History<P, T, E>>>,
) -> Result<Place<P>, NoneLeft> {
    let set = &*shared.peers.set;
    let random = &shared.policy.random;
    let excluded = history
        .as_deref()
        .map_or(&[][..], |history| &history.excluded);
    let role = history.as_deref().map_or(Role::Alone, |h| h.role);
    if role == Role::Hedge {
        return Place::pick_up(set, &shared.pick, random, excluded).ok_or(NoneLeft::Yield);
    }
    if let Some(place) = Place::pick(set, &shared.pick, random, excluded) {
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
            if view.members > 0 && view.up.len() == view.members {
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
#[cold]
fn judge<P, C, Y, K, R, T, E>(
    shared: &Shared<P, C, Y, K>,
    place: Place<P>,
    verdict: &Verdict,
    outcome: Result<T, E>,
    request: &Option<R>,
    history: &mut Option<Box<History<P, T, E>>>,
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
                Retry::Safe => true,
                Retry::IfIdempotent => shared.replay.is_idempotent(request),
            },
            // The other leg is on another peer already.
            None => history.role != Role::Alone && verdict.retry != Retry::Never,
        };
    history.excluded.push(member.id);
    if matches!(member.health.read().phase, Phase::Up | Phase::Due) {
        history.spared.push(member.id);
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
    if view.members == 0 {
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
