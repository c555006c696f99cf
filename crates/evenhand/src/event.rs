//! What happens to peers, told as it happens.
//!
//! A transition sends its event to a bounded queue before it lets go of the peer set, so events
//! arrive in order, peer by peer; whoever reads them does so outside every lock, and one that is
//! slow loses the oldest events (and is told how many) rather than hold up a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::member::Member;

/// How many events a reader may lag behind before the oldest are lost to it.
pub(crate) const CAPACITY: usize = 1024;

/// Something that happened to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The peer's name.
    pub peer: Arc<str>,
    /// What happened.
    pub kind: EventKind,
    /// When it happened. A reader may come to it later.
    pub at: Instant,
}

/// What happened to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// It was taken out. Its next probe is due after `probe_in`.
    #[non_exhaustive]
    Ejected {
        /// What the classifier said, if it said why.
        reason: Option<&'static str>,
        /// How long until the next probe is due.
        probe_in: Duration,
    },
    /// One attempt is out to find whether it is back.
    ProbeStarted,
    /// The probe failed; the peer stays out.
    #[non_exhaustive]
    ProbeFailed {
        /// What the classifier said, if it said why.
        reason: Option<&'static str>,
        /// How long until the next probe is due.
        probe_in: Duration,
    },
    /// The probe was cancelled or said nothing of the peer, so the next attempt may probe.
    ProbeAbandoned,
    /// It is back.
    Recovered,
    /// It joined the set, and is up.
    Added,
    /// It left the set; attempts under way on it go on.
    Removed,
    /// An operator took it out of the picks; attempts under way on it go on.
    Draining,
    /// An operator put it back.
    Restored,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |reason: Option<&'static str>| match reason {
            Some(reason) => format!(" ({reason})"),
            None => String::new(),
        };
        write!(f, "{} ", self.peer)?;
        match self.kind {
            EventKind::Ejected { reason, probe_in } => {
                write!(
                    f,
                    "ejected{}; next probe in {probe_in:.1?}",
                    because(reason)
                )
            }
            EventKind::ProbeStarted => f.write_str("is being probed"),
            EventKind::ProbeFailed { reason, probe_in } => {
                write!(
                    f,
                    "failed its probe{}; next probe in {probe_in:.1?}",
                    because(reason)
                )
            }
            EventKind::ProbeAbandoned => f.write_str("had its probe cancelled"),
            EventKind::Recovered => f.write_str("recovered"),
            EventKind::Added => f.write_str("was added"),
            EventKind::Removed => f.write_str("was removed"),
            EventKind::Draining => f.write_str("is being drained"),
            EventKind::Restored => f.write_str("was restored by hand"),
        }
    }
}

impl Event {
    pub(crate) fn now<P>(member: &Member<P>, kind: EventKind) -> Self {
        Self {
            peer: member.name.clone(),
            kind,
            at: Instant::now(),
        }
    }

    /// One line a transition: what an operator must see at `WARN`, good news at `INFO`, the rest
    /// at `DEBUG`.
    pub(crate) fn trace(&self) {
        let peer = &*self.peer;
        match self.kind {
            EventKind::Ejected { reason, probe_in } => {
                tracing::warn!(peer, reason, ?probe_in, "peer ejected");
            }
            EventKind::ProbeFailed { reason, probe_in } => {
                tracing::debug!(peer, reason, ?probe_in, "probe failed");
            }
            EventKind::ProbeStarted => tracing::debug!(peer, "probe started"),
            EventKind::ProbeAbandoned => tracing::debug!(peer, "probe abandoned"),
            EventKind::Recovered => tracing::info!(peer, "peer recovered"),
            EventKind::Added => tracing::info!(peer, "peer added"),
            EventKind::Removed => tracing::info!(peer, "peer removed"),
            EventKind::Draining => tracing::info!(peer, "peer draining"),
            EventKind::Restored => tracing::info!(peer, "peer restored"),
        }
    }
}

/// A reader of a peer set's events, from the moment it was made. See [`Peers::subscribe`].
///
/// [`Peers::subscribe`]: crate::Peers::subscribe
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<Event>);

impl Events {
    /// The next event, or `None` once the peer set is gone.
    ///
    /// # Errors
    ///
    /// [`Lagged`] if this reader was so slow that events were lost to it (it may fall 1024
    /// behind); the next call gives the oldest that is left.
    ///
    /// Cancel-safe: no event is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Event>, Lagged> {
        match self.0.recv().await {
            Ok(event) => Ok(Some(event)),
            Err(broadcast::error::RecvError::Closed) => Ok(None),
            Err(broadcast::error::RecvError::Lagged(lost)) => Err(Lagged(lost)),
        }
    }

    /// The next event if one is there already; otherwise as [`next`](Self::next), with `None` also
    /// when there is none yet.
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

/// This many events were lost to a slow reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events were lost to a slow reader", self.0)
    }
}

impl std::error::Error for Lagged {}
