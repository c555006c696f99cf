//! One request, from its first pick to its outcome: ready, pick, call, judge.
//!
//! The connector is made ready before a peer is picked, so a pick is never stale when it is used,
//! and no probe's permit is held by a request that cannot be sent yet.
//!
//! What most requests need is here: a peer that is up is picked, and its answer settles the
//! request. What they do otherwise is in [`failover`](super::failover).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::failover::{self, NoPeer};
use super::history::Role;
use super::lazy::Lazy;
use super::rules::RulesFor;
use super::shared::Handle;
use super::time::Over;
use crate::attempt::Attempt;
use crate::attempt::permit::AttemptPermit;
use crate::classify::{PeerVerdict, Retry};
use crate::error::{Cause, Error};
use crate::observe::meter::Started;

pin_project! {
    /// The future of a request to a [`Balance`](crate::Balance).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempt in flight, if there is one, and nothing else: no peer
    /// is blamed for it, and a probe's permit is released at once.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<Connector, Target, Request, Rules>
    where
        Connector: Service<Attempt<Target, Request>>,
    {
        pub(crate) shared: Handle<Target, Rules>,
        pub(crate) connector: Connector,
        // What the next attempt sends. `None` while the only copy is in flight.
        pub(crate) request: Option<Request>,
        pub(crate) lazy: Lazy<Target, Connector::Response, Connector::Error>,
        // When the attempt in flight began, if that is measured.
        pub(crate) started: Started,
        #[pin]
        pub(crate) step: Step<Connector::Future, Target>,
    }
}

/// What a request comes to.
type Outcome<Response, E> = Result<Response, Error<E>>;

pin_project! {
    #[project = StepProj]
    pub(crate) enum Step<F, Target> {
        // The connector is to be ready, then a peer picked.
        Pick,
        // An attempt is in flight. The future is dropped before the permit, as a drain waits for it.
        Call {
            #[pin]
            future: F,
            permit: Option<AttemptPermit<Target>>,
        },
        // No peer is left until one recovers or is due.
        Wait,
        // One leg of a hedged request: the other leg decides.
        Yielded,
        Done,
    }
}

impl<Connector, Target, Request, Rules> ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>>,
{
    #[inline]
    pub(crate) fn new(
        shared: Handle<Target, Rules>,
        connector: Connector,
        request: Request,
    ) -> Self {
        Self {
            shared,
            connector,
            request: Some(request),
            lazy: Lazy::none(),
            started: Started::default(),
            step: Step::Pick,
        }
    }
}

impl<Connector, Target, Request, Rules> fmt::Debug
    for ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<Connector, Target, Request, Rules> Future for ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>> + Clone,
    Target: Send + Sync + 'static,
    Rules: RulesFor<Request, Connector::Response, Connector::Error>,
{
    type Output = Result<Connector::Response, Error<Connector::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let shared = &**this.shared;
            if let Step::Pick = *this.step {
                match this.connector.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => {
                        match this.lazy.role() {
                            Role::Alone => return Poll::Ready(Err(self.fail_unready(error))),
                            Role::First | Role::Hedge => this.step.set(Step::Yielded),
                        }
                        continue;
                    }
                    Poll::Pending => match ready!(self.as_mut().poll_over(cx)) {
                        Some(outcome) => return Poll::Ready(outcome),
                        None => continue,
                    },
                }
                let request = || match &this.request {
                    Some(request) => request,
                    None => polled_after_completion(),
                };
                let pick = (shared.rules.pick(), &shared.rules.key(request));
                let permit = match failover::first_peer(shared, pick, this.lazy) {
                    Some(permit) => permit,
                    None => match failover::next_peer(shared, pick, this.lazy) {
                        Ok(permit) => permit,
                        Err(without) => match self.as_mut().go_without(without) {
                            Some(outcome) => return Poll::Ready(outcome),
                            None => continue,
                        },
                    },
                };
                let Some(request) = this.request.take() else {
                    polled_after_completion()
                };
                *this.request = shared.rules.copy(&request);
                let attempt = Attempt::new(
                    permit.peer().clone(),
                    permit.epoch(),
                    request,
                    shared.policy_id,
                    this.lazy.history().is_some_and(|h| h.second_pass),
                );
                *this.started = shared.meter.begin();
                let future = this.connector.call(attempt);
                let permit = Some(permit);
                this.step.set(Step::Call { future, permit });
            }

            let StepProj::Call { future, permit } = this.step.as_mut().project() else {
                match ready!(self.as_mut().poll_idle(cx)) {
                    Some(outcome) => return Poll::Ready(outcome),
                    None => continue,
                }
            };
            let Poll::Ready(outcome) = future.poll(cx) else {
                match ready!(self.as_mut().poll_over(cx)) {
                    Some(outcome) => return Poll::Ready(outcome),
                    None => continue,
                }
            };
            let Some(permit) = permit.take() else {
                polled_after_completion()
            };
            let verdict = shared.rules.classify(outcome.as_ref());
            let name = permit.peer().name();
            shared.meter.attempt_ended(name, &verdict, *this.started);
            match outcome {
                Ok(response)
                    if verdict.peer == PeerVerdict::Healthy
                        && verdict.retry == Retry::Never
                        && this.lazy.history().is_none()
                        && permit.settle_healthy(&verdict, &shared.policy) =>
                {
                    this.step.set(Step::Done);
                    return Poll::Ready(Ok(response));
                }
                outcome => {
                    let (request, lazy) = (this.request.as_ref(), this.lazy);
                    let outcome = outcome.map_err(Cause::Error);
                    let outcome = failover::judge(shared, permit, &verdict, outcome, request, lazy);
                    if let Some(outcome) = self.as_mut().proceed(outcome) {
                        return Poll::Ready(outcome);
                    }
                    let history = self.lazy.history();
                    if history.is_some_and(|history| history.is_to_yield()) {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<Connector, Target, Request, Rules> ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>> + Clone,
{
    /// Takes the step of a request that has no peer: ends it with its outcome, if it is over.
    #[cold]
    fn go_without(
        self: Pin<&mut Self>,
        without: NoPeer,
    ) -> Option<Outcome<Connector::Response, Connector::Error>> {
        let mut this = self.project();
        match without {
            NoPeer::Wait => {
                // Readiness may be a permit that others need while this one waits.
                *this.connector = this.connector.clone();
                this.step.set(Step::Wait);
            }
            NoPeer::Yield => this.step.set(Step::Yielded),
            NoPeer::End => {
                this.step.set(Step::Done);
                return Some(failover::give_up(this.shared, this.lazy));
            }
        }
        None
    }

    /// Polls a request that has no attempt in flight and may not pick a peer yet. Returns its
    /// outcome, if it is over.
    #[cold]
    fn poll_idle(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Outcome<Connector::Response, Connector::Error>>> {
        let mut this = self.as_mut().project();
        let history = this.lazy.history_mut();
        let wait = history.and_then(|history| history.wait.as_mut());
        match (&*this.step, wait) {
            (Step::Yielded, _) => Poll::Pending,
            (Step::Wait, Some(wait)) => {
                let goes_on = ready!(wait.poll(cx));
                this.shared.meter.waited(wait.since().elapsed());
                if goes_on {
                    this.step.set(Step::Pick);
                    Poll::Ready(None)
                } else {
                    Poll::Ready(self.go_without(NoPeer::End))
                }
            }
            _ => polled_after_completion(),
        }
    }

    /// Ends a request whose connector failed before a peer was picked.
    #[cold]
    fn fail_unready(self: Pin<&mut Self>, error: Connector::Error) -> Error<Connector::Error> {
        let mut this = self.project();
        this.step.set(Step::Done);
        this.lazy.clear();
        Error::NotReady(error)
    }

    /// Takes the step that follows an attempt that did not settle the request by itself: ends it
    /// with its outcome, if there is one.
    #[cold]
    fn proceed(
        self: Pin<&mut Self>,
        outcome: Option<Outcome<Connector::Response, Connector::Error>>,
    ) -> Option<Outcome<Connector::Response, Connector::Error>> {
        let mut this = self.project();
        if outcome.is_some() {
            this.step.set(Step::Done);
            // The permit of a suspect is released now, not when the future is dropped.
            this.lazy.clear();
        } else if this.request.is_none() {
            this.step.set(Step::Yielded);
        } else {
            this.step.set(Step::Pick);
        }
        outcome
    }
}

impl<Connector, Target, Request, Rules> ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>> + Clone,
    Target: Send + Sync + 'static,
    Rules: RulesFor<Request, Connector::Response, Connector::Error>,
{
    /// Waits until the time of the attempt in flight, or of the request, is over. Returns the
    /// request's outcome, if that is over; the attempt is.
    #[inline(never)]
    fn poll_over(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Outcome<Connector::Response, Connector::Error>>> {
        let mut this = self.as_mut().project();
        let shared = &**this.shared;
        let is_attempting = matches!(*this.step, Step::Call { .. });
        let over = ready!(this.lazy.poll_over(&shared.times, is_attempting, cx));
        let permit = match this.step.as_mut().project() {
            StepProj::Call { permit, .. } => permit.take(),
            _ => None,
        };
        // The attempt is dropped before it is judged: a ticket that goes with it decides nothing.
        this.step.set(Step::Yielded);
        Poll::Ready(match (over, permit) {
            (Over::Attempt, Some(permit)) => {
                let (verdict, request) = (&shared.times.verdict, this.request.as_ref());
                let name = permit.peer().name();
                shared.meter.attempt_ended(name, verdict, *this.started);
                let outcome = Err(Cause::TimedOut);
                let lazy = this.lazy;
                let outcome = failover::judge(shared, permit, verdict, outcome, request, lazy);
                self.proceed(outcome)
            }
            (_, permit) => {
                if let Some(permit) = permit {
                    failover::note_late(&permit, this.lazy);
                }
                // One leg of a hedged request leaves the end to the other, which adds its own peers.
                match this.lazy.role() {
                    Role::Alone => self.go_without(NoPeer::End),
                    Role::First | Role::Hedge => None,
                }
            }
        })
    }
}

#[expect(
    clippy::panic,
    reason = "the contract of `Future`: not to be polled after completion"
)]
pub(crate) fn polled_after_completion() -> ! {
    panic!("the future of a request was polled after completion")
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::thread;
    use std::time::Duration;

    use tower::{Layer, Service, service_fn};

    use crate::attempt::Attempt;
    use crate::balance::layer::BalanceLayer;
    use crate::peers::Peers;
    use crate::pick::{LeastInFlight, Pick, Uniform};

    /// Whether three requests complete while another thread holds the registry's lock.
    fn completes(peers: &Peers<u32>, pick: impl Pick + Clone + Send + Sync + 'static) -> bool {
        let layer = BalanceLayer::new(peers.clone()).pick(pick);
        let connector =
            |attempt: Attempt<u32, ()>| std::future::ready(Ok::<u32, ()>(*attempt.peer));
        let mut balance = layer.layer(service_fn(connector));
        let _locked = peers.set.registry.lock();
        let (done, result) = mpsc::channel();
        thread::spawn(move || {
            let mut cx = Context::from_waker(Waker::noop());
            let mut send = || matches!(pin!(balance.call(())).poll(&mut cx), Poll::Ready(Ok(_)));
            done.send((0..3).all(|_| send()))
        });
        result.recv_timeout(Duration::from_secs(5)).unwrap_or(false)
    }

    #[test]
    fn request_on_its_first_peer_takes_no_lock() {
        let peers = Peers::new([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        assert!(completes(&peers, Uniform));
        assert!(completes(&peers, LeastInFlight));
    }
}
