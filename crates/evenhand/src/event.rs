//! What happens to peers, as events.
//!
//! A transition sends its event to a bounded queue before it releases the set's lock, so the events
//! of one peer arrive in order. Readers read outside every lock. A reader that is slow loses the
//! oldest events, and learns how many, rather than hold up a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

/// How many events a reader may lag behind before it loses the oldest ones.
pub(crate) const CAPACITY: usize = 1024;

/// Something that happened to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Event {
    /// The name of the peer's set, if it has one; see [`Peers::named`](crate::Peers::named).
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub pool: Option<Arc<str>>,
    /// The peer's name.
    pub peer: Arc<str>,
    /// When it happened. A reader may read it later.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "ago", serialize_with = "crate::serialize::since")
    )]
    pub at: Instant,
    /// What happened.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub kind: EventKind,
    /// What it means for the set as a whole, if it is the last peer to go or the first to come back.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub set: Option<SetEvent>,
}

/// What an event of one peer means for its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum SetEvent {
    /// No peer is up any more: the last one was ejected, drained or removed. An empty set is not told
    /// of.
    AllDown,
    /// A peer is up again, after all were down.
    FirstUp,
}

/// What happened to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum EventKind {
    /// The peer was ejected. Its next probe is due after `probe_in`.
    #[non_exhaustive]
    Ejected {
        /// The verdict's reason, if it has one.
        reason: Option<&'static str>,
        /// The time until the next probe is due.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
        probe_in: Duration,
    },
    /// A probe of the peer has started.
    ProbeStarted,
    /// The probe failed; the peer stays out.
    #[non_exhaustive]
    ProbeFailed {
        /// The verdict's reason, if it has one.
        reason: Option<&'static str>,
        /// The time until the next probe is due.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
        probe_in: Duration,
    },
    /// The probe was cancelled or said nothing of the peer, so another probe may start at once.
    ProbeAbandoned,
    /// The probe succeeded; the peer is up.
    Recovered,
    /// The peer joined the set. It is up, unless it [joins on proof](crate::Peers::joining_on_proof).
    Added,
    /// The peer left the set. Attempts in flight on it go on. A new peer of its name may have been
    /// added before, if that one joined on proof.
    Removed,
    /// An operator took the peer out of the picks. Attempts in flight on it go on.
    Draining,
    /// An operator put the peer back.
    Restored,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            EventKind::Ejected { .. } => "ejected",
            EventKind::ProbeStarted => "is being probed",
            EventKind::ProbeFailed { .. } => "failed its probe",
            EventKind::ProbeAbandoned => "had its probe cancelled",
            EventKind::Recovered => "recovered",
            EventKind::Added => "was added",
            EventKind::Removed => "was removed",
            EventKind::Draining => "is being drained",
            EventKind::Restored => "was restored by an operator",
        };
        write!(f, "{}", self.peer)?;
        if let Some(pool) = &self.pool {
            write!(f, " of {pool}")?;
        }
        write!(f, " {what}")?;
        if let EventKind::Ejected { reason, probe_in }
        | EventKind::ProbeFailed { reason, probe_in } = self.kind
        {
            if let Some(reason) = reason {
                write!(f, " ({reason})")?;
            }
            write!(f, "; next probe in {probe_in:.1?}")?;
        }
        Ok(())
    }
}

impl Event {
    /// Logs one line for each transition: ejections at `WARN`, good news at `INFO`, the rest at
    /// `DEBUG`. And one if all peers are down, at `ERROR`, or one is up again. `up` peers are up after
    /// it.
    pub(crate) fn trace(&self, up: usize) {
        let (pool, peer) = (self.pool.as_deref(), &*self.peer);
        match self.kind {
            EventKind::Ejected { reason, probe_in } => {
                tracing::warn!(pool, peer, reason, ?probe_in, up, "peer ejected");
            }
            EventKind::ProbeFailed { reason, probe_in } => {
                tracing::debug!(pool, peer, reason, ?probe_in, "probe failed");
            }
            EventKind::ProbeStarted => tracing::debug!(pool, peer, "probe started"),
            EventKind::ProbeAbandoned => tracing::debug!(pool, peer, "probe abandoned"),
            EventKind::Recovered => tracing::info!(pool, peer, up, "peer recovered"),
            EventKind::Added => tracing::info!(pool, peer, "peer added"),
            EventKind::Removed => tracing::info!(pool, peer, up, "peer removed"),
            EventKind::Draining => tracing::info!(pool, peer, up, "peer draining"),
            EventKind::Restored => tracing::info!(pool, peer, up, "peer restored"),
        }
        match self.set {
            Some(SetEvent::AllDown) => tracing::error!(pool, peer, "all peers are down"),
            Some(SetEvent::FirstUp) => tracing::info!(pool, peer, "a peer is up again"),
            None => {}
        }
    }
}

/// A reader of a peer set's events, from the moment it was made. See [`Peers::subscribe`].
///
/// [`Peers::subscribe`]: crate::Peers::subscribe
#[derive(Debug)]
#[must_use = "events are lost to a reader that is dropped"]
pub struct Events(pub(crate) broadcast::Receiver<Event>);

impl Events {
    /// The next event, or `None` once the peer set is gone.
    ///
    /// # Errors
    ///
    /// [`Lagged`] if this reader fell more than 1024 events behind and lost the oldest ones; the
    /// next call gives the oldest event that is left.
    ///
    /// # Cancel safety
    ///
    /// Cancel-safe: no event is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Event>, Lagged> {
        match self.0.recv().await {
            Ok(event) => Ok(Some(event)),
            Err(broadcast::error::RecvError::Closed) => Ok(None),
            Err(broadcast::error::RecvError::Lagged(lost)) => Err(Lagged(lost)),
        }
    }

    /// The next event, or `None` if there is none yet or the peer set is gone.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn try_next(&mut self) -> Result<Option<Event>, Lagged> {
        match self.0.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(broadcast::error::TryRecvError::Lagged(lost)) => Err(Lagged(lost)),
            Err(_) => Ok(None),
        }
    }
}

/// A slow reader lost this many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events were lost to a slow reader", self.0)
    }
}

impl std::error::Error for Lagged {}
