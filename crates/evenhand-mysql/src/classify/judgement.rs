//! What an error is judged to say: of the peer, of another try, of the connection.

use evenhand::{PeerVerdict, Retry, Verdict};

/// What was under way when an error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Connecting, logging in and setting up the session. Nothing was executed yet. Probes are
    /// judged so as a whole.
    Connect,
    /// A statement, on a connection that worked until then.
    Query,
    /// A `COMMIT`: if its answer is lost, nobody knows whether it happened.
    Commit,
}

#[cfg(test)]
impl Phase {
    /// Every phase.
    pub(crate) const ALL: [Self; 3] = [Self::Connect, Self::Query, Self::Commit];
}

/// What an error says: of the peer and of another try (the [`Verdict`]), and of the connection that
/// it came on.
///
/// Made from a verdict, the connection is kept where the verdict blames nobody and asks for no
/// other peer, and closed otherwise; the peer is not checked at once.
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
pub struct Judgement {
    /// What of the peer, and may another be tried? In [`Phase::Query`] and [`Phase::Commit`] the
    /// latter concerns idempotent work only ([`Pool::run_idempotent`](crate::Pool::run_idempotent)):
    /// anything but [`Retry::Never`] sends it to another peer.
    pub verdict: Verdict,
    /// The connection is closed when it is returned, and not used by anyone else. Without meaning
    /// in [`Phase::Connect`].
    pub discard: bool,
    /// The peer is checked at once, in the background, as this outcome alone does not tell.
    /// Without meaning in [`Phase::Connect`].
    pub check_now: bool,
}

impl Judgement {
    /// The connection is closed when it is returned.
    pub const fn discard(mut self) -> Self {
        self.discard = true;
        self
    }

    /// The connection goes on, whatever the verdict.
    pub const fn keep(mut self) -> Self {
        self.discard = false;
        self
    }

    /// The peer is checked at once.
    pub const fn check_now(mut self) -> Self {
        self.check_now = true;
        self
    }

    /// The connection or the peer failed, not the statement: another peer may do better.
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
