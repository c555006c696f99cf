//! The time limits of a request and of its attempts.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::classify::Verdict;

/// The time limits that a balancer sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    /// Of one attempt.
    pub(crate) attempt: Option<Duration>,
    /// Of the request.
    pub(crate) request: Option<Duration>,
    /// What an attempt that timed out says.
    pub(crate) verdict: Verdict,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            attempt: None,
            request: None,
            verdict: Verdict::degraded().if_idempotent().because("timed out"),
        }
    }
}

/// Whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Attempt,
    Request,
}

pin_project! {
    /// When a request and its attempt end. Both begin when they first have to wait, so what never
    /// waits reads no clock and sets no timer.
    #[derive(Default)]
    pub(crate) struct Clock {
        // Made at the first wait that has an end.
        #[pin]
        timer: Option<Sleep>,
        deadline: Option<Instant>,
        attempt_ends: Option<Instant>,
    }
}

impl Clock {
    /// The request's deadline, if it has one. It begins now, unless it did before.
    pub(crate) fn deadline(self: Pin<&mut Self>, limits: &TimeLimits) -> Option<Instant> {
        let this = self.project();
        let begin = || limits.request.map(|limit| Instant::now() + limit);
        *this.deadline = this.deadline.or_else(begin);
        *this.deadline
    }

    /// The deadline of another part of the same request.
    pub(crate) fn set_deadline(self: Pin<&mut Self>, deadline: Option<Instant>) {
        *self.project().deadline = deadline;
    }

    /// The deadline, if it has begun.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The attempt has ended. Its timer is not to wake the request while that waits for a peer.
    pub(crate) fn end_attempt(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.attempt_ends = None;
        this.timer.set(None);
    }

    /// Waits for the end of the attempt, if there is one, or of the request.
    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        limits: &TimeLimits,
        is_attempting: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Over> {
        let deadline = self.as_mut().deadline(limits);
        let mut this = self.project();
        let limit = limits.attempt.filter(|_| is_attempting);
        let begin = || limit.map(|limit| Instant::now() + limit);
        *this.attempt_ends = this.attempt_ends.or_else(begin);
        let ends = [*this.attempt_ends, deadline];
        let Some(end) = ends.into_iter().flatten().min() else {
            return Poll::Pending;
        };
        match this.timer.as_mut().as_pin_mut() {
            None => this.timer.set(Some(sleep_until(end))),
            Some(timer) if timer.deadline() != end => timer.reset(end),
            Some(_) => {}
        }
        // A task that has used up its cooperative budget must still see that the time is over.
        let timer = this.timer.as_pin_mut().map(unconstrained);
        let Some(mut timer) = timer else {
            return Poll::Pending;
        };
        Pin::new(&mut timer).poll(cx).map(|()| {
            if deadline == Some(end) {
                Over::Request
            } else {
                Over::Attempt
            }
        })
    }
}
