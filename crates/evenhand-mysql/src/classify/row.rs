//! One row of the table: an error, and how it is judged.

use std::time::Duration;

use evenhand::{Retry, Verdict};

use super::judgement::{Judgement, Phase};
use super::sign::{Seen, Sign};

/// A peer that needs an operator is probed rarely.
pub(crate) const LONG: Duration = Duration::from_secs(300);

/// The message of a Galera node that refuses work; its code is that of an unknown command.
pub(crate) const WSREP: &str = "WSREP has not yet prepared";
/// The message of a server that replicates in a group and refuses to commit. Other hooks fail with the same
/// code, one of them after the commit.
pub(crate) const BEFORE_COMMIT: &str = "before_commit";
/// Errors while packets are read or written.
pub(crate) const WIRE: &[u16] = &[1152, 1154, 1155, 1158, 1159, 1160, 1161, 1184];
pub(crate) const SHUTDOWN: &[u16] = &[1053, 1077, 1078, 1079, 1080];

pub(crate) const HEALTHY: Verdict = Verdict::healthy();
pub(crate) const NEUTRAL: Verdict = Verdict::neutral();
pub(crate) const DEGRADED: Verdict = Verdict::degraded();
pub(crate) const DOWN: Verdict = Verdict::down();
pub(crate) const SUSPECT: Verdict = Verdict::suspect();
/// The peer works, and has no room for one more connection; see [`is_full`](super::is_full).
pub(crate) const FULL: Verdict = Verdict::neutral().busy().of_kind("full");

/// The errors that a row is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    /// Server errors with these codes.
    Codes(&'static [u16]),
    /// Server errors with these codes whose message contains this text.
    Containing(&'static [u16], &'static str),
    /// Any server error.
    AnyCode,
    /// Failures with these signs.
    Signs(&'static [Sign]),
    /// No error: the case is noticed elsewhere, and handled as the row says.
    NoError,
}

/// One row. The first that fits an error judges it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The name of the row.
    pub(crate) id: &'static str,
    pub(crate) phases: &'static [Phase],
    pub(crate) on: On,
    /// Its verdict's reason describes the error.
    pub(crate) judgement: Judgement,
    /// The judgement in pools that are declared writable.
    pub(crate) writable: Option<Judgement>,
    /// Nothing of the transaction was committed, and it may be run again.
    pub(crate) restart: bool,
    /// A note for the document.
    pub(crate) note: &'static str,
}

impl Row {
    const fn new(
        phases: &'static [Phase],
        id: &'static str,
        on: On,
        reason: &'static str,
        verdict: Verdict,
        discard: bool,
    ) -> Self {
        Self {
            id,
            phases,
            on,
            judgement: Judgement {
                verdict: verdict.because(reason),
                discard,
                check_now: false,
            },
            writable: None,
            restart: false,
            note: "",
        }
    }

    /// Before there is a connection.
    pub(crate) const fn connect(
        id: &'static str,
        on: On,
        reason: &'static str,
        verdict: Verdict,
    ) -> Self {
        Self::new(&[Phase::Connect], id, on, reason, verdict, true)
    }

    /// In a statement, `COMMIT` included; the connection is kept.
    pub(crate) const fn query(
        id: &'static str,
        on: On,
        reason: &'static str,
        verdict: Verdict,
    ) -> Self {
        Self::new(
            &[Phase::Query, Phase::Commit],
            id,
            on,
            reason,
            verdict,
            false,
        )
    }

    /// In a `COMMIT`; the connection is discarded.
    pub(crate) const fn commit(
        id: &'static str,
        on: On,
        reason: &'static str,
        verdict: Verdict,
    ) -> Self {
        Self::new(&[Phase::Commit], id, on, reason, verdict, true)
    }

    pub(crate) const fn discard(mut self) -> Self {
        self.judgement.discard = true;
        self
    }

    pub(crate) const fn check_now(mut self) -> Self {
        self.judgement.check_now = true;
        self
    }

    /// Sets the verdict in pools that are declared writable. There the peer is checked at once.
    pub(crate) const fn in_writable_pools(mut self, verdict: Verdict) -> Self {
        let Some(reason) = self.judgement.verdict.reason else {
            return self;
        };
        self.writable = Some(Judgement {
            verdict: verdict.because(reason),
            check_now: true,
            ..self.judgement
        });
        self
    }

    pub(crate) const fn restart(mut self) -> Self {
        self.restart = true;
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
                (On::Containing(codes, needle), Seen::Server { code, message }) => {
                    codes.contains(code) && message.contains(needle)
                }
                (On::AnyCode, Seen::Server { .. }) => true,
                (On::Signs(signs), Seen::Sign(sign)) => signs.contains(sign),
                _ => false,
            }
    }

    /// The row's judgement. In a `COMMIT` nothing is retried: the work before it was lost with its
    /// connection.
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
