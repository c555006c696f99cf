//! What a request needs only once it has to wait or its first attempt did not settle it: its clock
//! and its history, in one box. So requests that their first peer settles at once stay small.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::history::{History, Role};
use super::time::{Clock, Over, TimeLimits};

pin_project! {
    struct Parts<Target, Response, Error> {
        #[pin]
        clock: Clock,
        // `None` until the first attempt did not settle the request.
        history: Option<History<Target, Response, Error>>,
    }
}

/// The box, if there is one yet.
pub(crate) struct Lazy<Target, Response, Error>(Option<Pin<Box<Parts<Target, Response, Error>>>>);

impl<Target, Response, Error> Lazy<Target, Response, Error> {
    #[inline]
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// The history, if there is one yet.
    #[inline]
    pub(crate) fn history(&self) -> Option<&History<Target, Response, Error>> {
        self.0.as_ref()?.history.as_ref()
    }

    pub(crate) fn history_mut(&mut self) -> Option<&mut History<Target, Response, Error>> {
        self.0.as_mut()?.as_mut().project().history.as_mut()
    }

    /// The history, which is made if there is none yet.
    pub(crate) fn make_history(&mut self) -> &mut History<Target, Response, Error> {
        let parts = self.make().project();
        parts.history.get_or_insert_default()
    }

    /// Takes the history, and drops the rest.
    pub(crate) fn take_history(&mut self) -> History<Target, Response, Error> {
        let history = self
            .0
            .as_mut()
            .and_then(|parts| parts.as_mut().project().history.take());
        self.0 = None;
        history.unwrap_or_default()
    }

    /// Drops all.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// The part that the request plays.
    pub(crate) fn role(&self) -> Role {
        self.history().map_or(Role::Alone, |history| history.role)
    }

    /// The request's deadline, if it has one. It begins now, unless it did before.
    pub(crate) fn deadline(&mut self, limits: &TimeLimits) -> Option<Instant> {
        limits.request?;
        self.make().project().clock.deadline(limits)
    }

    /// The deadline, if it has begun.
    pub(crate) fn begun_deadline(&self) -> Option<Instant> {
        self.0.as_ref()?.clock.begun()
    }

    /// The deadline of another part of the same request, if that has one.
    pub(crate) fn share_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_some() {
            self.make().project().clock.set_deadline(deadline);
        }
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.clock.is_late())
    }

    /// An attempt has ended.
    pub(crate) fn end_attempt(&mut self) {
        if let Some(parts) = &mut self.0 {
            parts.as_mut().project().clock.end_attempt();
        }
    }

    /// Waits for the end of the attempt, if there is one, or of the request.
    pub(crate) fn poll_over(
        &mut self,
        limits: &TimeLimits,
        is_attempting: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Over> {
        if limits.request.is_none() && (limits.attempt.is_none() || !is_attempting) {
            return Poll::Pending;
        }
        self.make().project().clock.poll(limits, is_attempting, cx)
    }

    fn make(&mut self) -> Pin<&mut Parts<Target, Response, Error>> {
        let none = || {
            Box::pin(Parts {
                clock: Clock::default(),
                history: None,
            })
        };
        self.0.get_or_insert_with(none).as_mut()
    }
}
