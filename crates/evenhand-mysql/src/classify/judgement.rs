//! [`Judgement`]: what an error means for the peer, for a retry and for the connection.

use evenhand::{PeerVerdict, Retry, Verdict};

/// What was in progress when an error occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Connecting, logging in and setting up the session. Nothing was executed yet. All of a probe is in
    /// this phase.
    Connect,
    /// A statement on a connection that had worked.
    Query,
    /// A `COMMIT`. If its answer is lost, whether it was committed is unknown.
    Commit,
}

#[cfg(feature = "metrics")]
impl Phase {
    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Query => "query",
            Self::Commit => "commit",
        }
    }
}

#[cfg(test)]
impl Phase {
    /// Every phase.
    pub(crate) const ALL: [Self; 3] = [Self::Connect, Self::Query, Self::Commit];
}

/// What an error means: for the peer and a retry (the [`Verdict`]), and for its connection.
///
/// A judgement made from a verdict keeps the connection if the verdict blames no peer and allows no
/// retry, and closes it otherwise. It does not check the peer at once.
///
/// ```
/// use evenhand_mysql::Judgement;
/// use evenhand_mysql::evenhand::Verdict;
///
/// let stays = Judgement::from(Verdict::healthy());
/// assert!(!stays.discard);
/// let goes = Judgement::from(Verdict::degraded().if_idempotent()).check_now();
/// assert!(goes.discard && goes.check_now);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Judgement {
    /// What the error says about the peer, and whether another peer may be tried. In [`Phase::Query`] and
    /// [`Phase::Commit`] the second concerns idempotent work only
    /// ([`Pool::run_idempotent`](crate::Pool::run_idempotent)): anything but [`Retry::Never`] sends it to
    /// another peer.
    pub verdict: Verdict,
    /// Whether the connection is closed when it is returned. Has no effect in [`Phase::Connect`].
    pub discard: bool,
    /// Whether the peer is checked at once, in the background, as this error alone does not tell whether
    /// it is down. Has no effect in [`Phase::Connect`].
    pub check_now: bool,
}

impl Judgement {
    /// Closes the connection when it is returned.
    pub const fn discard(mut self) -> Self {
        self.discard = true;
        self
    }

    /// Keeps the connection, whatever the verdict.
    pub const fn keep(mut self) -> Self {
        self.discard = false;
        self
    }

    /// Checks the peer at once.
    pub const fn check_now(mut self) -> Self {
        self.check_now = true;
        self
    }

    /// Whether the connection or the peer failed rather than the statement, so that another peer may
    /// succeed.
    pub(crate) fn goes_elsewhere(&self) -> bool {
        self.verdict.retry != Retry::Never
    }
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        let blameless = matches!(verdict.peer, PeerVerdict::Healthy | PeerVerdict::Neutral);
        Self {
            verdict,
            discard: !blameless || verdict.retry != Retry::Never,
            check_now: false,
        }
    }
}
