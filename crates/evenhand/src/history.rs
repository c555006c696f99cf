//! What a request remembers once its first attempt did not settle it, or once it is hedged.
//!
//! Boxed, and absent from most requests, so that those which their first peer answers stay small.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::Tried;
use crate::place::Place;

/// What a request is to another that serves the same caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// There is no other.
    #[default]
    Alone,
    /// The first leg of a hedged request. Where it finds no peer it leaves it to the other leg.
    First,
    /// The second leg. It neither probes nor waits either.
    Hedge,
}

/// What only a request whose first attempt did not settle it needs to remember.
pub(crate) struct History<P, T, E> {
    pub(crate) tried: Vec<Tried<E>>,
    /// Members that this request does not go to again.
    pub(crate) excluded: Vec<u32>,
    /// Those of them that their attempt did not take out: to try them again needs a reason.
    pub(crate) spared: Vec<u32>,
    /// Those of them that had no room just then.
    pub(crate) left: Vec<u32>,
    /// It has come back to those.
    pub(crate) came_back: bool,
    /// A peer that another one's outcome will clear or convict.
    pub(crate) suspect: Option<Place<P>>,
    /// The latest outcome, if it was a response that the classifier turned down: better than none.
    pub(crate) rejected: Option<T>,
    pub(crate) wait: Option<Wait>,
    /// The last-resort attempt was made.
    pub(crate) last_resort: bool,
    pub(crate) role: Role,
}

/// A history, if there is one yet. Its drop is one test where there is none, as for most requests.
pub(crate) struct Past<P, T, E>(Option<Box<History<P, T, E>>>);

impl<P, T, E> Past<P, T, E> {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn of(history: History<P, T, E>) -> Self {
        Self(Some(Box::new(history)))
    }

    pub(crate) fn role(&self) -> Role {
        self.0.as_ref().map_or(Role::Alone, |history| history.role)
    }

    /// Members that the request does not go to again.
    pub(crate) fn excluded(&self) -> &[u32] {
        self.0.as_ref().map_or(&[], |history| &history.excluded)
    }
}

impl<P, T, E> Deref for Past<P, T, E> {
    type Target = Option<Box<History<P, T, E>>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<P, T, E> DerefMut for Past<P, T, E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<P, T, E> Drop for Past<P, T, E> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(history) = self.0.take() {
            forget(history);
        }
    }
}

#[cold]
#[inline(never)]
fn forget<P, T, E>(history: Box<History<P, T, E>>) {
    drop(history);
}

impl<P, T, E> Default for History<P, T, E> {
    fn default() -> Self {
        Self {
            tried: Vec::new(),
            excluded: Vec::new(),
            spared: Vec::new(),
            left: Vec::new(),
            came_back: false,
            suspect: None,
            rejected: None,
            wait: None,
            last_resort: false,
            role: Role::Alone,
        }
    }
}

impl<P, T, E> History<P, T, E> {
    /// Goes on alone, with what the other leg, which has ended, had learnt.
    pub(crate) fn absorb(&mut self, other: Self) {
        if !other.tried.is_empty() {
            self.rejected = other.rejected;
        }
        self.tried.extend(other.tried);
        self.avoid(other.excluded);
        self.spared.extend(other.spared);
        self.left.extend(other.left);
        self.came_back |= other.came_back;
        self.suspect = self.suspect.take().or(other.suspect);
        self.wait = self.wait.take().or(other.wait);
        self.last_resort |= other.last_resort;
        self.role = Role::Alone;
    }

    /// Goes once more to those that it left for want of room; false if there are none, or it did.
    pub(crate) fn come_back(&mut self) -> bool {
        if self.came_back || self.left.is_empty() {
            return false;
        }
        self.came_back = true;
        for id in std::mem::take(&mut self.left) {
            self.excluded.retain(|other| *other != id);
            self.spared.retain(|other| *other != id);
        }
        true
    }

    /// Does not go to these members.
    pub(crate) fn avoid(&mut self, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            if !self.excluded.contains(&id) {
                self.excluded.push(id);
            }
        }
    }
}

/// Until a peer is available again, or the caller's patience ends.
pub(crate) struct Wait {
    pub(crate) available: Pin<Box<OwnedNotified>>,
    pub(crate) deadline: Pin<Box<Sleep>>,
}

impl Wait {
    pub(crate) fn new(available: &Arc<Notify>, patience: Duration) -> Self {
        let now = Instant::now();
        // A deadline that cannot be told is as good as none: a year.
        let year = Duration::from_secs(365 * 24 * 3600);
        let deadline = now + patience.min(year);
        Self {
            available: listen(available),
            deadline: Box::pin(sleep_until(deadline)),
        }
    }
}

/// A listener that misses nothing from now on, even before its first poll.
pub(crate) fn listen(notify: &Arc<Notify>) -> Pin<Box<OwnedNotified>> {
    let mut notified = Box::pin(notify.clone().notified_owned());
    notified.as_mut().enable();
    notified
}
