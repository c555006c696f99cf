//! How a caller ends a request whose time is over.

use std::pin::Pin;

use tower_service::Service;

use super::failover;
use super::future::{ResponseFuture, Step, StepProj};
use crate::attempt::Attempt;
use crate::error::Error;

impl<Connector, Target, Request, Rules> ResponseFuture<Connector, Target, Request, Rules>
where
    Connector: Service<Attempt<Target, Request>>,
{
    /// Ends the request, as dropping the future would: for a caller whose time limit has passed. Returns
    /// [`Error::TimedOut`] with all attempts, if one is in flight, which is the last of them. Else it returns
    /// [`Error::Exhausted`] with the attempts that failed.
    ///
    /// The future must not be polled afterwards: that panics.
    pub fn abandon(mut self: Pin<&mut Self>) -> Error<Connector::Error> {
        let is_late = self.as_mut().end_late();
        self.into_error(is_late)
    }

    /// Ends the request. If an attempt is in flight, it is noted as one that gave no answer in time.
    /// Says whether there was one.
    pub(crate) fn end_late(self: Pin<&mut Self>) -> bool {
        let mut this = self.project();
        let permit = match this.step.as_mut().project() {
            StepProj::Call { permit, .. } => permit.take(),
            StepProj::Wait => {
                let history = this.lazy.history();
                if let Some(wait) = history.and_then(|history| history.wait.as_ref()) {
                    this.shared.meter.waited(wait.since().elapsed());
                }
                None
            }
            _ => None,
        };
        this.step.set(Step::Done);
        if let Some(permit) = &permit {
            failover::note_late(permit, this.lazy);
        }
        permit.is_some()
    }

    /// The error of a request that has [ended](Self::end_late).
    pub(crate) fn into_error(self: Pin<&mut Self>, is_late: bool) -> Error<Connector::Error> {
        let this = self.project();
        let (tried, _) = this.lazy.take_history().into_tried();
        let next_due = this.shared.peers.set.registry.next_due();
        match is_late {
            true => Error::TimedOut { tried, next_due },
            false => Error::Exhausted { tried, next_due },
        }
    }
}
