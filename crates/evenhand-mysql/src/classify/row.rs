//! One row of the table: a case, and what it says.

use std::time::Duration;

use evenhand::{Retry, Verdict};

use super::judgement::{Judgement, Phase};
use super::sign::{Seen, Sign};

/// A peer that is merely full is asked again soon.
pub(crate) const SHORT: Duration = Duration::from_secs(1);
/// A peer that needs an operator is left alone for longer.
pub(crate) const LONG: Duration = Duration::from_secs(300);

/// What a row is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    /// A server's errors of these codes.
    Codes(&'static [u16]),
    /// A server's errors of these codes whose text has this in it.
    Saying(&'static [u16], &'static str),
    /// Any server's error.
    AnyCode,
    /// These signs.
    Signs(&'static [Sign]),
    /// No error at all: it is seen elsewhere, and handled as the row says.
    Elsewhere,
}

/// One row. The first that fits an error judges it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Names the row, for tests and documents.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests and documents"))]
    pub(crate) id: &'static str,
    pub(crate) phases: &'static [Phase],
    pub(crate) on: On,
    /// Its verdict's reason is the case in words.
    pub(crate) judgement: Judgement,
    /// In pools that were declared writable.
    pub(crate) writable: Option<Judgement>,
    /// What else is to be known.
    pub(crate) note: &'static str,
}

impl Row {
    const fn new(
        phases: &'static [Phase],
        id: &'static str,
        on: On,
        case: &'static str,
        verdict: Verdict,
        discard: bool,
    ) -> Self {
        Self {
            id,
            phases,
            on,
            judgement: Judgement {
                verdict: verdict.because(case),
                discard,
                check_now: false,
            },
            writable: None,
            note: "",
        }
    }

    /// Before the connection is there.
    pub(crate) const fn connect(
        id: &'static str,
        on: On,
        case: &'static str,
        verdict: Verdict,
    ) -> Self {
        Self::new(&[Phase::Connect], id, on, case, verdict, true)
    }

    /// In a statement, `COMMIT` included; the connection goes on.
    pub(crate) const fn query(
        id: &'static str,
        on: On,
        case: &'static str,
        verdict: Verdict,
    ) -> Self {
        Self::new(&[Phase::Query, Phase::Commit], id, on, case, verdict, false)
    }

    /// In a `COMMIT`; the connection is discarded.
    pub(crate) const fn commit(
        id: &'static str,
        on: On,
        case: &'static str,
        verdict: Verdict,
    ) -> Self {
        Self::new(&[Phase::Commit], id, on, case, verdict, true)
    }

    pub(crate) const fn discard(mut self) -> Self {
        self.judgement.discard = true;
        self
    }

    pub(crate) const fn check_now(mut self) -> Self {
        self.judgement.check_now = true;
        self
    }

    /// What it says in pools that were declared writable.
    pub(crate) const fn in_writable_pools(mut self, verdict: Verdict) -> Self {
        let Some(reason) = self.judgement.verdict.reason else {
            return self;
        };
        self.writable = Some(Judgement {
            verdict: verdict.because(reason),
            ..self.judgement
        });
        self
    }

    pub(crate) const fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    pub(crate) fn fits(&self, phase: Phase, seen: &Seen<'_>) -> bool {
        self.phases.contains(&phase)
            && match (&self.on, seen) {
                (On::Codes(codes), Seen::Server { code, .. }) => codes.contains(code),
                (On::Saying(codes, needle), Seen::Server { code, message }) => {
                    codes.contains(code) && message.contains(needle)
                }
                (On::AnyCode, Seen::Server { .. }) => true,
                (On::Signs(signs), Seen::Sign(sign)) => signs.contains(sign),
                _ => false,
            }
    }

    /// What the row says. In a `COMMIT` nothing is tried again, whatever the row says of
    /// statements: the work before it went with its connection.
    pub(crate) fn judge(&self, phase: Phase, writable: bool) -> Judgement {
        let mut judgement = match self.writable {
            Some(judgement) if writable => judgement,
            _ => self.judgement,
        };
        if phase == Phase::Commit {
            judgement.verdict.retry = Retry::Never;
        }
        judgement
    }
}
