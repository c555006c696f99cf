//! How checkouts and tries end, in few words.

use crate::error::{AttemptError, Error};

/// How a checkout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    #[cfg(feature = "metrics")]
    Ok,
    Full,
    Refused,
    Failed,
    Disconnected,
    /// Its caller dropped it.
    #[cfg(feature = "metrics")]
    Cancelled,
}

impl Outcome {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 6] = [
        Self::Ok,
        Self::Full,
        Self::Refused,
        Self::Failed,
        Self::Disconnected,
        Self::Cancelled,
    ];

    /// Of a checkout that failed.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Full { .. } => Self::Full,
            Error::Disconnected => Self::Disconnected,
            Error::Checkout(checkout) => match checkout.tried.cause() {
                Some(AttemptError::Connect(mysql_async::Error::Server(_))) => Self::Refused,
                _ => Self::Failed,
            },
            _ => Self::Failed,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "metrics")]
            Self::Ok => "ok",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Disconnected => "disconnected",
            #[cfg(feature = "metrics")]
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a try of idempotent work or of a transaction failed.
pub(crate) fn cause_name(cause: &AttemptError) -> &'static str {
    match cause {
        AttemptError::ConnectionLost(_) => "connection_lost",
        AttemptError::RolledBack(_) => "rolled_back",
        AttemptError::TryTimedOut(_) => "try_timeout",
        AttemptError::Ejected => "ejected",
        AttemptError::OutOfTime => "out_of_time",
        _ => "other",
    }
}
