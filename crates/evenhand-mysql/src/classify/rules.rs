//! Judges errors by a pool's classifier, then by the table.

use evenhand::Verdict;

use super::classifier::Classifier;
use super::judgement::{Judgement, Phase};
use super::row::{FULL, Row};
use super::sign::Seen;
use super::table::rows;
use crate::error::AttemptError;

/// The rules of one pool: its classifier, and whether its peers must be writable.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) classifier: Classifier,
    pub(crate) writable: bool,
}

impl Rules {
    /// Judges an attempt to get a connection.
    pub(crate) fn attempt(&self, error: &AttemptError) -> Verdict {
        match error {
            AttemptError::Connect(error) => self.error(Phase::Connect, error).verdict,
            other => self.look_up(Phase::Connect, &Seen::attempt(other)).verdict,
        }
    }

    /// Judges an error of the driver.
    pub(crate) fn error(&self, phase: Phase, error: &mysql_async::Error) -> Judgement {
        self.classifier
            .judge(phase, error)
            .unwrap_or_else(|| self.look_up(phase, &Seen::error(error)))
    }

    fn look_up(&self, phase: Phase, seen: &Seen<'_>) -> Judgement {
        match row(phase, seen) {
            Some(row) => row.judge(phase, self.writable),
            // A test shows that every error has a row.
            None => Verdict::neutral().into(),
        }
    }
}

/// Whether a login was refused because the peer has no room for one more connection.
pub(crate) fn is_full(verdict: &Verdict) -> bool {
    verdict.kind == FULL.kind
}

/// Whether the server rolled the transaction back, or refused to commit it, and it may be run again.
pub(crate) fn asks_for_restart(error: &mysql_async::Error) -> bool {
    row(Phase::Query, &Seen::error(error)).is_some_and(|row| row.restart)
}

/// The first row that fits.
pub(super) fn row(phase: Phase, seen: &Seen<'_>) -> Option<&'static Row> {
    rows().find(|row| row.fits(phase, seen))
}
