//! One hedged request: a first leg, a timer, and a second leg where the first takes long.
//!
//! The first leg and the timer are held in place, so a request that needs no second leg allocates
//! nothing. The second leg is boxed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::attempt::Attempt;
use crate::balance::future::{ResponseFuture, polled_after_completion};
use crate::balance::rules::RulesFor;
use crate::error::Error;

pin_project! {
    /// The future of a request to a [`Hedge`](crate::Hedge).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempts in flight and nothing else: no peer is blamed for
    /// it, and a probe's permit is released at once.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct HedgeFuture<Connector, Target, Request, Rules>
    where
        Connector: Service<Attempt<Target, Request>>,
    {
        // `None` once it has ended.
        #[pin]
        first: Option<ResponseFuture<Connector, Target, Request, Rules>>,
        second: Option<Pin<Box<ResponseFuture<Connector, Target, Request, Rules>>>>,
        // Set once an attempt is in flight that may be hedged.
        #[pin]
        timer: Option<Sleep>,
        // The second leg was started, or there will be none.
        decided: bool,
        after: Duration,
    }
}

impl<Connector, Target, Request, Rules> HedgeFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>>,
{
    pub(super) fn new(
        leg: ResponseFuture<Connector, Target, Request, Rules>,
        after: Duration,
    ) -> Self {
        Self {
            first: Some(leg),
            second: None,
            timer: None,
            decided: false,
            after,
        }
    }

    /// Ends the request, as dropping the future would: for a caller whose time limit has passed. Returns
    /// [`Error::TimedOut`] with the attempts of both legs, if some are in flight, which are among them. Else
    /// it returns [`Error::Exhausted`] with the attempts that failed.
    ///
    /// The future must not be polled afterwards: that panics.
    ///
    /// # Panics
    ///
    /// If the future has resolved already.
    pub fn abandon(self: Pin<&mut Self>) -> Error<Connector::Error> {
        let mut this = self.project();
        let second = this.second.take();
        let error = match (this.first.as_mut().as_pin_mut(), second) {
            (Some(mut first), second) => {
                let mut is_late = first.as_mut().end_late();
                if let Some(mut second) = second {
                    is_late |= second.as_mut().end_late();
                    first.as_mut().merge(second.as_mut().into_history());
                }
                first.into_error(is_late)
            }
            (None, Some(mut second)) => second.as_mut().abandon(),
            (None, None) => polled_after_completion(),
        };
        this.first.set(None);
        error
    }
}

impl<Connector, Target, Request, Rules> fmt::Debug
    for HedgeFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture").finish_non_exhaustive()
    }
}

impl<Connector, Target, Request, Rules> Future for HedgeFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>> + Clone,
    Target: Send + Sync + 'static,
    Rules: RulesFor<Request, Connector::Response, Connector::Error>,
{
    type Output = Result<Connector::Response, Error<Connector::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut first_yielded = false;
        if let Some(mut first) = this.first.as_mut().as_pin_mut() {
            if let Some(second) = this.second {
                first.as_mut().avoid(second);
            }
            if let Poll::Ready(outcome) = first.as_mut().poll(cx) {
                this.first.set(None);
                // The losing attempt is dropped.
                *this.second = None;
                return Poll::Ready(outcome);
            }
            if let Some(second) = this.second {
                if first.has_yielded() {
                    second.as_mut().merge(first.into_history());
                    first_yielded = true;
                } else {
                    second.as_mut().avoid(&first);
                }
            } else {
                if !*this.decided && this.timer.is_none() && first.is_attempting() {
                    if first.may_be_hedged() && Handle::try_current().is_ok() {
                        this.timer.set(Some(sleep(*this.after)));
                    } else {
                        *this.decided = true;
                    }
                }
                if !*this.decided
                    && let Some(timer) = this.timer.as_mut().as_pin_mut()
                    && timer.poll(cx).is_ready()
                {
                    *this.decided = true;
                    *this.second = first.hedge().map(Box::pin);
                }
            }
        } else if this.second.is_none() {
            polled_after_completion()
        }
        if first_yielded {
            this.first.set(None);
        }

        let Some(second) = this.second else {
            return Poll::Pending;
        };
        if let Poll::Ready(outcome) = second.as_mut().poll(cx) {
            *this.second = None;
            // The losing attempt is dropped.
            this.first.set(None);
            return Poll::Ready(outcome);
        }
        if second.has_yielded()
            && let Some(first) = this.first.as_pin_mut()
        {
            first.merge(second.as_mut().into_history());
            *this.second = None;
        }
        Poll::Pending
    }
}
