//! Judges errors by a pool's classifier, then by the table.

use evenhand::Verdict;

use super::classifier::Classifier;
use super::judgement::{Judgement, Phase};
use super::row::{FULL, Row};
use super::sign::Seen;
use super::table::rows;
use crate::error::AttemptError;

/// The name in place of a row's where the pool's classifier judged.
const CUSTOM: &str = "custom";

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
            other => {
                self.look_up(Phase::Connect, &Seen::attempt(other))
                    .0
                    .verdict
            }
        }
    }

    /// Judges an error of the driver.
    pub(crate) fn error(&self, phase: Phase, error: &mysql_async::Error) -> Judgement {
        self.judge(phase, error).0
    }

    /// As [`error`](Self::error), with the name of the row.
    pub(crate) fn judge(
        &self,
        phase: Phase,
        error: &mysql_async::Error,
    ) -> (Judgement, &'static str) {
        match self.classifier.judge(phase, error) {
            Some(judgement) => (judgement, CUSTOM),
            None => self.look_up(phase, &Seen::error(error)),
        }
    }

    /// The name of the row that judges an attempt to get a connection.
    pub(crate) fn row_of_attempt(&self, error: &AttemptError) -> &'static str {
        match error {
            AttemptError::Connect(error) => self.judge(Phase::Connect, error).1,
            other => self.look_up(Phase::Connect, &Seen::attempt(other)).1,
        }
    }

    fn look_up(&self, phase: Phase, seen: &Seen<'_>) -> (Judgement, &'static str) {
        match row(phase, seen) {
            Some(row) => (row.judge(phase, self.writable), row.id),
            // A test shows that every error has a row.
            None => (Verdict::neutral().into(), "unknown"),
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
