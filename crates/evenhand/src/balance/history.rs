//! What a request remembers once its first attempt did not settle it, or once it is hedged.
//!
//! Boxed, and absent from most requests, so that those which their first peer settles stay small.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::attempt::permit::AttemptPermit;
use crate::error::Tried;
use crate::interval::LONGEST;

/// The part of a request in a hedged one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// The request is not hedged.
    #[default]
    Alone,
    /// The first leg. Where it finds no peer it leaves the request to the other leg.
    First,
    /// The second leg. It neither probes nor waits either.
    Hedge,
}

pub(crate) struct History<Target, Response, Error> {
    /// The attempts that failed, in order.
    pub(crate) attempts: Vec<Tried<Error>>,
    /// The ids of peers that this request does not go to again.
    pub(crate) tried: Vec<u64>,
    /// Of those, the ones that the attempt did not take out.
    pub(crate) still_up: Vec<u64>,
    /// Of those, the ones that only had no room.
    pub(crate) busy: Vec<u64>,
    /// The request has come back to those.
    pub(crate) second_pass: bool,
    /// The permit of a peer that another peer's outcome will clear or convict.
    pub(crate) suspect: Option<AttemptPermit<Target>>,
    /// The latest outcome, if it was a response that the classifier rejected: better than none.
    pub(crate) rejected: Option<Response>,
    pub(crate) wait: Option<Wait>,
    /// The last-resort attempt was made.
    pub(crate) last_resort: bool,
    pub(crate) role: Role,
}

/// A history, if there is one yet. Its drop is one test where there is none, as for most requests.
pub(crate) struct LazyHistory<Target, Response, Error>(
    Option<Box<History<Target, Response, Error>>>,
);

impl<Target, Response, Error> LazyHistory<Target, Response, Error> {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn of(history: History<Target, Response, Error>) -> Self {
        Self(Some(Box::new(history)))
    }

    pub(crate) fn role(&self) -> Role {
        self.0.as_ref().map_or(Role::Alone, |history| history.role)
    }

    #[inline]
    pub(crate) fn is_second_pass(&self) -> bool {
        self.0.as_ref().is_some_and(|history| history.second_pass)
    }

    /// The ids of peers that the request does not go to again.
    pub(crate) fn tried(&self) -> &[u64] {
        self.0.as_ref().map_or(&[], |history| &history.tried)
    }

    /// The history, empty again where it was.
    pub(crate) fn take_all(&mut self) -> History<Target, Response, Error> {
        self.0
            .take()
            .map_or_else(History::default, |history| *history)
    }
}

impl<Target, Response, Error> Deref for LazyHistory<Target, Response, Error> {
    type Target = Option<Box<History<Target, Response, Error>>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<Target, Response, Error> DerefMut for LazyHistory<Target, Response, Error> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<Target, Response, Error> Drop for LazyHistory<Target, Response, Error> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(history) = self.0.take() {
            drop_cold(history);
        }
    }
}

#[cold]
#[inline(never)]
fn drop_cold<Target, Response, Error>(history: Box<History<Target, Response, Error>>) {
    drop(history);
}

impl<Target, Response, Error> Default for History<Target, Response, Error> {
    fn default() -> Self {
        Self {
            attempts: Vec::new(),
            tried: Vec::new(),
            still_up: Vec::new(),
            busy: Vec::new(),
            second_pass: false,
            suspect: None,
            rejected: None,
            wait: None,
            last_resort: false,
            role: Role::Alone,
        }
    }
}

impl<Target, Response, Error> History<Target, Response, Error> {
    /// Continues alone, with what the other leg learnt before it ended.
    pub(crate) fn merge(&mut self, other: Self) {
        if !other.attempts.is_empty() {
            self.rejected = other.rejected;
        }
        self.attempts.extend(other.attempts);
        self.avoid(other.tried);
        self.still_up.extend(other.still_up);
        self.busy.extend(other.busy);
        self.second_pass |= other.second_pass;
        self.suspect = self.suspect.take().or(other.suspect);
        self.wait = self.wait.take().or(other.wait);
        self.last_resort |= other.last_resort;
        self.role = Role::Alone;
    }

    /// Lets the request go once more to the peers that had no room. False if there are none, or it
    /// did so before.
    pub(crate) fn start_second_pass(&mut self) -> bool {
        if self.second_pass || self.busy.is_empty() {
            return false;
        }
        self.second_pass = true;
        for id in std::mem::take(&mut self.busy) {
            self.tried.retain(|other| *other != id);
            self.still_up.retain(|other| *other != id);
        }
        true
    }

    /// Keeps the request from these peers.
    pub(crate) fn avoid(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            if !self.tried.contains(&id) {
                self.tried.push(id);
            }
        }
    }
}

/// A wait until a peer may be available, or the deadline.
pub(crate) struct Wait {
    pub(crate) available: Pin<Box<OwnedNotified>>,
    /// Rings at the deadline, or when a peer is due before it.
    pub(crate) timer: Pin<Box<Sleep>>,
    pub(crate) deadline: Instant,
}

impl Wait {
    pub(crate) fn new(available: &Arc<Notify>, patience: Duration) -> Self {
        let deadline = Instant::now() + patience.min(LONGEST);
        Self {
            available: listen(available),
            timer: Box::pin(sleep_until(deadline)),
            deadline,
        }
    }

    /// Misses nothing that becomes available from now on.
    pub(crate) fn listen(&mut self, available: &Arc<Notify>) {
        self.available = listen(available);
    }

    /// Rings when a peer is due, if that is before the deadline.
    pub(crate) fn ring_at(&mut self, due: Option<Instant>) {
        let ring = due.map_or(self.deadline, |due| due.min(self.deadline));
        self.timer.as_mut().reset(ring);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.deadline <= Instant::now()
    }
}

/// A listener that misses nothing from now on, even before its first poll.
fn listen(notify: &Arc<Notify>) -> Pin<Box<OwnedNotified>> {
    let mut notified = Box::pin(notify.clone().notified_owned());
    notified.as_mut().enable();
    notified
}
