//! The spans of checkouts, tries and transactions, at `DEBUG`: the feature `tracing`.
//!
//! Their fields are those of OpenTelemetry's conventions for database clients
//! (<https://opentelemetry.io/docs/specs/semconv/db/database-spans/>), where these have one. No field holds a
//! statement, a user or a password.

/// Awaits a future in a span, and lets the closure note in the span what came of it. Without the feature,
/// only the future is left.
macro_rules! in_span {
    ($span:expr, $future:expr, $note:expr) => {{
        #[cfg(feature = "tracing")]
        {
            let span: tracing::Span = $span;
            let future = tracing::Instrument::instrument($future, span.clone());
            let outcome = future.await;
            if !span.is_disabled() {
                $note(&span, &outcome);
            }
            outcome
        }
        #[cfg(not(feature = "tracing"))]
        {
            $future.await
        }
    }};
}
pub(super) use in_span;

#[cfg(feature = "tracing")]
mod traced {
    use std::error::Error as StdError;

    use mysql_async::{Error as Driver, ServerError};
    use tracing::field::Empty;
    use tracing::{Span, debug_span};

    use crate::conn::PeerConn;
    use crate::error::{AttemptError, Error};
    use crate::observe::outcome::{Outcome, cause_name};
    use crate::options::PoolOptions;
    use crate::peer::Peer;

    /// What the conventions call an error for which there is no other word.
    const OTHER: &str = "_OTHER";

    /// A span of this crate's, for a pool with these options.
    macro_rules! span {
        ($name:literal, $options:expr $(, $($field:tt)+)?) => {
            debug_span!(
                target: "evenhand_mysql",
                $name,
                db.system.name = "mysql",
                db.client.connection.pool.name = &*$options.get_name(),
                db.response.status_code = Empty,
                "error.type" = Empty,
                $($($field)+)?
            )
        };
    }

    /// A checkout.
    pub(in crate::pool) fn checkout(options: &PoolOptions) -> Span {
        span!(
            "checkout",
            options,
            evenhand.peer = Empty,
            server.address = Empty,
            server.port = Empty,
            db.namespace = Empty
        )
    }

    /// The try of this number, from 1, on a connection.
    pub(in crate::pool) fn work_try(options: &PoolOptions, number: usize, conn: &PeerConn) -> Span {
        let span = span!(
            "try",
            options,
            evenhand.r#try = number,
            evenhand.peer = Empty,
            server.address = Empty,
            server.port = Empty,
            db.namespace = Empty
        );
        if !span.is_disabled() {
            note_peer(&span, conn.ticket().peer());
        }
        span
    }

    /// A transaction, with all its tries.
    pub(in crate::pool) fn transaction(options: &PoolOptions) -> Span {
        span!("transaction", options)
    }

    /// Notes how a checkout ended.
    pub(in crate::pool) fn note_checkout<E: StdError + 'static>(
        span: &Span,
        outcome: &Result<PeerConn, E>,
    ) {
        match outcome {
            Ok(conn) => note_peer(span, conn.ticket().peer()),
            Err(error) => note_error(span, error),
        }
    }

    /// Notes with what an operation failed.
    pub(in crate::pool) fn note_error(span: &Span, error: &(dyn StdError + 'static)) {
        if let Some(refusal) = refusal(error) {
            // The conventions want a string.
            let code = refusal.code.to_string();
            span.record("db.response.status_code", code.as_str());
            span.record("error.type", code.as_str());
            return;
        }
        let kind = match (Error::find(error), error.downcast_ref()) {
            (Some(Error::OutcomeUnknown { .. }), _) => "outcome_unknown",
            (Some(Error::PeerLost { .. }), _) => "peer_lost",
            (Some(error), _) => Outcome::of(error).name(),
            (None, Some(Driver::Io(_))) => "io",
            (None, Some(Driver::Driver(mysql_async::DriverError::PoolDisconnected))) => {
                Outcome::Disconnected.name()
            }
            _ => OTHER,
        };
        span.record("error.type", kind);
    }

    /// What a server said, if that is why an operation failed.
    fn refusal<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a ServerError> {
        let cause = match (error.downcast_ref(), error.downcast_ref()) {
            (Some(Error::Checkout(checkout)), _) => match checkout.tried.cause()? {
                AttemptError::Connect(cause) => cause,
                _ => return None,
            },
            (_, driver) => driver?,
        };
        match cause {
            Driver::Server(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Notes why a try failed.
    pub(in crate::pool) fn note_cause(span: &Span, cause: &AttemptError) {
        span.record("error.type", cause_name(cause));
    }

    /// Notes that an operation failed with an error of the caller's own type.
    pub(in crate::pool) fn note_other(span: &Span) {
        span.record("error.type", OTHER);
    }

    fn note_peer(span: &Span, peer: &Peer) {
        let opts = peer.opts();
        span.record("evenhand.peer", peer.name());
        match opts.socket() {
            Some(path) => {
                span.record("server.address", path);
            }
            None => {
                span.record("server.address", opts.ip_or_hostname());
                span.record("server.port", opts.tcp_port());
            }
        }
        if let Some(schema) = opts.db_name() {
            span.record("db.namespace", schema);
        }
    }
}

#[cfg(feature = "tracing")]
pub(super) use traced::*;
