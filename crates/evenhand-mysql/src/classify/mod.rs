//! What an error says about its peer, by phase, code and message.
//!
//! SQLSTATE alone misleads (`08S01` covers "packet too large", the caller's fault), and so does
//! "server error or not": a server that is shutting down says so in a server error, and a wrong
//! parameter count is none. So errors are judged one by one, by a table.
//!
//! | file | holds |
//! | --- | --- |
//! | `judgement.rs` | [`Phase`] and [`Judgement`] |
//! | `table/`, `row.rs` | the table, and one row of it |
//! | `sign.rs` | what an error looks like, as rows are looked up by it |
//! | `classifier.rs` | [`Classifier`]: what its user says before the table is asked |
//! | `tests.rs`, `document.rs` | the table's tests; `docs/MYSQL-ERRORS.md`, made from it |

mod classifier;
mod judgement;
mod row;
mod sign;
mod table;

#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use evenhand::{Classify, Verdict};

use crate::error::AttemptError;
use row::{Row, SHORT};
use sign::Seen;
use table::rows;

pub use classifier::{Case, Classifier};
pub use judgement::{Judgement, Phase};

/// What one pool goes by: its classifier, and whether its peers must be writable.
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
            // A test holds that there is none such.
            None => Verdict::neutral().into(),
        }
    }
}

/// Whether a peer that was ejected for this is alive, and has only no room.
pub(crate) fn is_merely_full(reason: Option<&'static str>) -> bool {
    let mut verdicts = rows().map(|row| row.judgement.verdict);
    verdicts.any(|verdict| verdict.recover_in == Some(SHORT) && verdict.reason == reason)
}

/// The first row that fits.
fn row(phase: Phase, seen: &Seen<'_>) -> Option<&'static Row> {
    rows().find(|row| row.fits(phase, seen))
}

/// Judges the outcomes of checkouts.
#[derive(Clone, Debug)]
pub(crate) struct ByPhase(pub(crate) Arc<Rules>);

impl<T> Classify<T, AttemptError> for ByPhase {
    fn classify(&self, outcome: Result<&T, &AttemptError>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::healthy(),
            Err(error) => self.0.attempt(error),
        }
    }
}
