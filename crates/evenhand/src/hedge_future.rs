//! One hedged request: a first leg, a timer, and a second leg where the first takes its time.
//!
//! The first leg and the timer are held in place, so a request that needs no second leg allocates
//! nothing. The second leg is boxed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::attempt::Attempt;
use crate::classify::Classify;
use crate::error::Error;
use crate::future::ResponseFuture;
use crate::leg::BoxedLeg;
use crate::loser::{LoserLeg, OnLoser};
use crate::pick::Pick;
use crate::replay::Replay;

pin_project! {
    /// The response of a [`Hedge`](crate::Hedge).
    ///
    /// Dropping it at any point drops the attempts that are under way and nothing else: no peer is
    /// blamed for it, a probe's place is free at once, and no loser is handed to anyone.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct HedgeFuture<S, P, R, C, Y, K, L>
    where
        S: Service<Attempt<P, R>>,
    {
        #[pin]
        first: First<ResponseFuture<S, P, R, C, Y, K>>,
        second: Option<BoxedLeg<S, P, R, C, Y, K>>,
        #[pin]
        timer: Timer,
        after: Duration,
        on_loser: L,
    }
}

pin_project! {
    #[project = FirstProj]
    enum First<F> {
        Here { #[pin] leg: F },
        // Where it may be handed on: what was polled in place cannot be moved.
        Boxed { leg: Option<Pin<Box<F>>> },
        Ended,
    }
}

impl<F> First<F> {
    fn leg(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        match self.project() {
            FirstProj::Here { leg } => Some(leg),
            FirstProj::Boxed { leg } => leg.as_mut().map(Pin::as_mut),
            FirstProj::Ended => None,
        }
    }

    /// Ends it here, and gives it if it can be handed on.
    fn end(mut self: Pin<&mut Self>) -> Option<Pin<Box<F>>> {
        let leg = match self.as_mut().project() {
            FirstProj::Boxed { leg } => leg.take(),
            FirstProj::Here { .. } | FirstProj::Ended => None,
        };
        self.set(Self::Ended);
        leg
    }
}

pin_project! {
    #[project = TimerProj]
    enum Timer {
        // No attempt was out yet.
        Unset,
        Running { #[pin] sleep: Sleep },
        // The second leg was started, or there will be none.
        Over,
    }
}

impl Timer {
    /// Whether the second leg's time has come. `attempt` says whether an attempt is out that is
    /// worth a timer: asked until one is set.
    fn rings(
        mut self: Pin<&mut Self>,
        after: Duration,
        cx: &mut Context<'_>,
        attempt: impl FnOnce() -> Attempting,
    ) -> bool {
        if let TimerProj::Unset = self.as_mut().project() {
            match attempt() {
                Attempting::NotYet => {}
                Attempting::Never => self.set(Self::Over),
                Attempting::Now => self.set(Self::Running {
                    sleep: sleep(after),
                }),
            }
        }
        let rings = match self.as_mut().project() {
            TimerProj::Running { sleep } => sleep.poll(cx).is_ready(),
            TimerProj::Unset | TimerProj::Over => false,
        };
        if rings {
            self.set(Self::Over);
        }
        rings
    }
}

enum Attempting {
    NotYet,
    Now,
    /// What is under way is not to be hedged.
    Never,
}

impl<S, P, R, C, Y, K, L> HedgeFuture<S, P, R, C, Y, K, L>
where
    S: Service<Attempt<P, R>>,
    L: OnLoser<LoserLeg<S, P, R, C, Y, K>>,
{
    pub(crate) fn new(leg: ResponseFuture<S, P, R, C, Y, K>, after: Duration, on_loser: L) -> Self {
        let first = if L::WANTED {
            First::Boxed {
                leg: Some(Box::pin(leg)),
            }
        } else {
            First::Here { leg }
        };
        Self {
            first,
            second: None,
            timer: Timer::Unset,
            after,
            on_loser,
        }
    }
}

impl<S, P, R, C, Y, K, L> HedgeFuture<S, P, R, C, Y, K, L>
where
    S: Service<Attempt<P, R>>,
{
    /// Ends the request here, as dropping it would, and tells what was tried so far by either leg:
    /// for a caller whose own time limit has passed. Not to be polled afterwards.
    pub fn abandon(self: Pin<&mut Self>) -> Error<S::Error> {
        let mut this = self.project();
        this.timer.set(Timer::Over);
        let second = this.second.take();
        let error = match (this.first.as_mut().leg(), second) {
            (Some(mut first), second) => {
                if let Some(mut second) = second {
                    first.as_mut().absorb(second.as_mut().surrender());
                }
                first.abandon()
            }
            (None, Some(mut second)) => second.as_mut().abandon(),
            (None, None) => polled_too_often(),
        };
        this.first.set(First::Ended);
        error
    }
}

impl<S, P, R, C, Y, K, L> Future for HedgeFuture<S, P, R, C, Y, K, L>
where
    S: Service<Attempt<P, R>> + Clone,
    P: Send + Sync + 'static,
    C: Classify<S::Response, S::Error>,
    Y: Replay<R>,
    K: Pick,
    L: OnLoser<LoserLeg<S, P, R, C, Y, K>>,
{
    type Output = Result<S::Response, Error<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut first_yielded = false;
        if let Some(mut first) = this.first.as_mut().leg() {
            if let Some(second) = this.second {
                first.as_mut().avoid(second);
            }
            if let Poll::Ready(outcome) = first.as_mut().poll(cx) {
                this.timer.set(Timer::Over);
                this.first.set(First::Ended);
                hand_over(this.second.take(), this.on_loser);
                return Poll::Ready(outcome);
            }
            if let Some(second) = this.second {
                if first.has_yielded() {
                    second.as_mut().absorb(first.surrender());
                    first_yielded = true;
                } else {
                    second.as_mut().avoid(&first);
                }
            } else {
                let attempt = || {
                    if !first.is_attempting() {
                        Attempting::NotYet
                    } else if first.may_be_hedged() && Handle::try_current().is_ok() {
                        Attempting::Now
                    } else {
                        Attempting::Never
                    }
                };
                if this.timer.rings(*this.after, cx, attempt) {
                    *this.second = first.hedge().map(Box::pin);
                }
            }
        } else if this.second.is_none() {
            polled_too_often()
        }
        if first_yielded {
            this.first.set(First::Ended);
        }

        let Some(second) = this.second else {
            return Poll::Pending;
        };
        if let Poll::Ready(outcome) = second.as_mut().poll(cx) {
            *this.second = None;
            hand_over(this.first.end(), this.on_loser);
            return Poll::Ready(outcome);
        }
        if second.has_yielded()
            && let Some(first) = this.first.leg()
        {
            first.absorb(second.as_mut().surrender());
            *this.second = None;
        }
        Poll::Pending
    }
}

/// Lets go of the leg that did not decide.
fn hand_over<S, P, R, C, Y, K, L>(leg: Option<BoxedLeg<S, P, R, C, Y, K>>, on_loser: &L)
where
    S: Service<Attempt<P, R>>,
    L: OnLoser<LoserLeg<S, P, R, C, Y, K>>,
{
    if L::WANTED
        && let Some(loser) = leg.and_then(LoserLeg::new)
    {
        on_loser.take(loser);
    }
}

#[expect(
    clippy::panic,
    reason = "the contract of `Future`: not to be polled after completion"
)]
fn polled_too_often() -> ! {
    panic!("`HedgeFuture` polled after completion")
}
