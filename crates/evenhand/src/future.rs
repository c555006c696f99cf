//! One request, from its first pick to its outcome: ready → pick → call → judge.
//!
//! The connector is made ready before a peer is picked, so a pick is never stale by the time it is
//! used, and a probe's place is never held by a request that cannot be sent yet.
//!
//! Here is what most requests need and no more: a peer that is up is drawn, and what it answers
//! settles the request. All else is [`failover`](crate::failover).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::attempt::Attempt;
use crate::classify::{Classify, PeerVerdict, Retry};
use crate::error::Error;
use crate::history::Past;
use crate::peer::Peer;
use crate::pick::Pick;
use crate::place::{Place, Standing, note_healthy};
use crate::replay::Replay;
use crate::roster::{Entered, Entry};
use crate::service::{Handle, Shared};

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
        pub(crate) handle: Arc<Handle<P, C, Y, K>>,
        pub(crate) connector: S,
        // What the next attempt sends. Gone while the only copy is under way.
        pub(crate) request: Option<R>,
        pub(crate) history: Past<P, S::Response, S::Error>,
        #[pin]
        pub(crate) step: Step<S::Future, P>,
    }

    impl<S, P, R, C, Y, K> PinnedDrop for ResponseFuture<S, P, R, C, Y, K>
    where
        S: Service<Attempt<P, R>>,
    {
        fn drop(this: Pin<&mut Self>) {
            if let Step::Drawn { .. } = this.step {
                this.end_drawn();
            }
        }
    }
}

pin_project! {
    #[project = StepProj]
    pub(crate) enum Step<F, P> {
        // No peer was picked yet, and the request has no history.
        Start,
        // An attempt on a peer that was drawn, the first. The entry is no guard: only the request
        // has the roster that it is of, and gives it back, also on drop.
        Drawn {
            #[pin]
            future: F,
            entry: Entry,
        },
        Pick,
        // Any other attempt.
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
    pub(crate) fn new(handle: Arc<Handle<P, C, Y, K>>, connector: S, request: R) -> Self {
        Self {
            handle,
            connector,
            request: Some(request),
            history: Past::none(),
            step: Step::Start,
        }
    }

    /// Ends the request here, as dropping it would, and tells what was tried so far: for a caller
    /// whose own time limit has passed. Not to be polled afterwards.
    pub fn abandon(mut self: Pin<&mut Self>) -> Error<S::Error> {
        self.as_mut().end_drawn();
        let mut this = self.project();
        this.step.set(Step::Done);
        let tried = this
            .history
            .take()
            .map(|history| history.tried)
            .unwrap_or_default();
        Error::NoneLeft {
            tried,
            next_due: this.handle.shared.peers.set.next_due(),
        }
    }
}

impl<S, P, R, C, Y, K> ResponseFuture<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>>,
{
    /// Drops an attempt on a peer that was drawn, if one is under way, and then leaves the peer.
    #[cold]
    #[inline(never)]
    pub(crate) fn end_drawn(self: Pin<&mut Self>) {
        let mut this = self.project();
        if let StepProj::Drawn { entry, .. } = this.step.as_mut().project() {
            let member = this.handle.roster.member(*entry);
            let _entered = member.map(|member| Entered::resume(member, *entry));
            this.step.set(Step::Done);
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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let entry = match self.step {
            Step::Start if K::UNIFORM => {
                let this = self.as_mut().project();
                if let Err(error) = ready!(this.connector.poll_ready(cx)) {
                    return Poll::Ready(Err(self.unready(error)));
                }
                match self.as_mut().send() {
                    Some(entry) => entry,
                    None => return self.fail_over(true, cx),
                }
            }
            Step::Drawn { entry, .. } => entry,
            _ => return self.fail_over(false, cx),
        };
        self.receive(entry, cx)
    }
}

impl<S, P, R, C, Y, K> ResponseFuture<S, P, R, C, Y, K>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
{
    /// Sends the request to a peer that is drawn. `None` if that needs more thought.
    #[inline]
    fn send(self: Pin<&mut Self>) -> Option<Entry> {
        let mut this = self.project();
        let Handle { shared, roster } = &**this.handle;
        let entered = roster.enter(&shared.policy.random)?;
        let peer = Peer(entered.member.clone());
        let standing = Standing::of_a_peer_that_is_up(entered.generation);
        let attempt = attempt(shared, peer, standing, this.request);
        let future = this.connector.call(attempt);
        let entry = entered.keep();
        this.step.set(Step::Drawn { future, entry });
        Some(entry)
    }

    /// Takes the outcome of what was [sent](Self::send).
    #[inline]
    fn receive(
        mut self: Pin<&mut Self>,
        entry: Entry,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error<S::Error>>> {
        let mut this = self.as_mut().project();
        let Handle { shared, roster } = &**this.handle;
        let StepProj::Drawn { future, .. } = this.step.as_mut().project() else {
            polled_too_often()
        };
        let outcome = ready!(future.poll(cx));
        let verdict = shared.classify.classify(outcome.as_ref());
        let settles = verdict.peer == PeerVerdict::Healthy && verdict.retry == Retry::Never;
        let Some(member) = roster.member(entry) else {
            polled_too_often()
        };
        match outcome {
            Ok(response) if settles && this.history.is_none() => {
                note_healthy(member, entry.generation, &shared.policy);
                // Left after the attempt is dropped, as a drain waits for it; and not by this
                // future's own drop, whatever the attempt's does.
                let _entered = Entered::resume(member, entry);
                this.step.set(Step::Done);
                Poll::Ready(Ok(response))
            }
            outcome => {
                let place = Place::of(Entered::resume(member, entry));
                this.step.set(Step::Done);
                match self.as_mut().learn(place, &verdict, outcome) {
                    Some(outcome) => Poll::Ready(outcome),
                    None => self.fail_over(false, cx),
                }
            }
        }
    }
}

#[expect(
    clippy::panic,
    reason = "the contract of `Future`: not to be polled after completion"
)]
pub(crate) fn polled_too_often() -> ! {
    panic!("`ResponseFuture` polled after completion")
}

/// What the connector is called with, and what is left of the request for another attempt.
#[inline]
pub(crate) fn attempt<P, C, Y: Replay<R>, K, R>(
    shared: &Shared<P, C, Y, K>,
    peer: Peer<P>,
    standing: Standing,
    request: &mut Option<R>,
) -> Attempt<P, R> {
    let Some(this_one) = request.take() else {
        polled_too_often()
    };
    *request = shared.replay.copy(&this_one);
    Attempt::new(peer, standing, this_one, shared.policy_id)
}
