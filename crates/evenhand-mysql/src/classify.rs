//! What an error says about its peer, by phase, code and message.
//!
//! SQLSTATE alone misleads (`08S01` covers "packet too large", the caller's fault), and so does
//! "server error or not": a server that is shutting down says so in a server error, and a wrong
//! parameter count is none. So codes are judged one by one. What a code means was measured on
//! MariaDB, Galera, HAProxy and ProxySQL.

use std::io;
use std::time::Duration;

use evenhand::{Classify, Verdict};
use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::error::AttemptError;

/// A peer that is merely full is asked again soon.
const SHORT: Duration = Duration::from_secs(1);
/// A peer that needs an operator is left alone for longer.
const LONG: Duration = Duration::from_secs(300);

/// Judges an attempt to get a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByPhase;

impl<T> Classify<T, AttemptError> for ByPhase {
    fn classify(&self, outcome: Result<&T, &AttemptError>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::healthy(),
            Err(error) => attempt(error),
        }
    }
}

pub(crate) fn attempt(error: &AttemptError) -> Verdict {
    match error {
        AttemptError::Connect(error) => connect(error),
        AttemptError::TimedOut(_) => Verdict::down().safe().because("no connection in time"),
        // Alive: a check decides whether it lets anyone in.
        AttemptError::Slow(_) => Verdict::neutral().safe(),
        // This client's own shortage: blaming the peer would eject everyone.
        AttemptError::NoFreeConnection(_) | AttemptError::OutOfTime => Verdict::neutral(),
        AttemptError::Disconnected => Verdict::neutral(),
        AttemptError::Ejected | AttemptError::Busy(_) | AttemptError::Avoided => {
            Verdict::neutral().safe()
        }
        // A try of idempotent work is judged by its connection's guard, not here.
        AttemptError::TryTimedOut(_) | AttemptError::ConnectionLost(_) => Verdict::neutral(),
    }
}

/// Judges an error that came before the connection was there. Nothing was executed.
pub(crate) fn connect(error: &Error) -> Verdict {
    match error {
        Error::Io(IoError::Io(error)) if is_local_shortage(error) => {
            Verdict::neutral().because("this host is short of descriptors, ports or memory")
        }
        // A certificate that does not hold may be the peer's drift or the caller's mistake.
        Error::Io(IoError::Io(error)) if is_tls_refusal(error) => {
            Verdict::suspect().safe().because("TLS refused")
        }
        Error::Io(IoError::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Verdict::down().safe().because("connection refused")
        }
        Error::Io(_) => Verdict::down().safe().because("connection failed"),
        Error::Driver(error) => connect_driver(error),
        Error::Server(error) => connect_server(error),
        // The caller's URL, or the caller's own `after_connect` hook.
        Error::Url(_) | Error::Other(_) => Verdict::neutral(),
    }
}

fn connect_driver(error: &DriverError) -> Verdict {
    match error {
        DriverError::ConnectionClosed
        | DriverError::PacketOutOfOrder
        | DriverError::UnexpectedPacket { .. }
        | DriverError::CantParseServerVersion { .. }
        | DriverError::BadCompressedPacketHeader
        | DriverError::InvalidParsecSalt => Verdict::down().safe().because("bad handshake"),
        DriverError::NoClientSslFlagFromServer => Verdict::suspect().safe().because("no TLS"),
        // The peer was ejected and its pool closed while this attempt was on its way.
        DriverError::PoolDisconnected => Verdict::neutral().safe(),
        // Authentication plugins and the like: the same everywhere.
        _ => Verdict::neutral(),
    }
}

fn connect_server(error: &ServerError) -> Verdict {
    match error.code {
        1040 => Verdict::degraded()
            .safe()
            .recover_in(SHORT)
            .because("too many connections"),
        1203 | 1226 => Verdict::degraded()
            .safe()
            .recover_in(SHORT)
            .because("user limit reached"),
        1129 => Verdict::down()
            .safe()
            .recover_in(LONG)
            .because("this host is blocked"),
        1130 => Verdict::down()
            .safe()
            .recover_in(LONG)
            .because("this host is not allowed"),
        1042 => Verdict::down()
            .safe()
            .because("it cannot resolve this host"),
        1043 => Verdict::down().safe().because("bad handshake"),
        1044 | 1045 | 1049 | 3118 | 4151 => Verdict::suspect().safe().because("login refused"),
        1047 if is_wsrep(error) => Verdict::down().safe().because("Galera node not ready"),
        1053 | 1077..=1080 => Verdict::down().safe().because("shutting down"),
        1152 | 1154 | 1155 | 1158..=1161 | 1184 => {
            Verdict::degraded().safe().because("wire trouble")
        }
        9001 | 9002 => Verdict::degraded()
            .safe()
            .because("proxy without a backend"),
        _ => Verdict::healthy(),
    }
}

/// What an error in a query says: of the peer, and of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryVerdict {
    pub(crate) verdict: Verdict,
    /// The connection is of no more use.
    pub(crate) discard: bool,
    /// The connection or the peer failed, not the statement: another peer may do better.
    pub(crate) lost: bool,
    /// The peer should be checked now, as this outcome alone does not tell.
    pub(crate) check_now: bool,
}

impl QueryVerdict {
    /// The peer answered; the connection goes on.
    const fn answered() -> Self {
        Self {
            verdict: Verdict::healthy(),
            discard: false,
            lost: false,
            check_now: false,
        }
    }

    const fn lost(verdict: Verdict) -> Self {
        Self {
            verdict,
            discard: true,
            lost: true,
            check_now: true,
        }
    }

    const fn discard(verdict: Verdict) -> Self {
        Self {
            verdict,
            discard: true,
            lost: false,
            check_now: false,
        }
    }
}

/// Judges an error of a statement on a connection that worked until then.
pub(crate) fn query(error: &Error) -> QueryVerdict {
    match error {
        // SIGTERM, SIGKILL and KILL all look like this, and so does a cable that is pulled.
        Error::Io(_) => QueryVerdict::lost(
            Verdict::degraded()
                .if_idempotent()
                .because("connection lost"),
        ),
        Error::Server(error) => query_server(error),
        Error::Driver(DriverError::PacketOutOfOrder | DriverError::UnexpectedPacket { .. }) => {
            QueryVerdict::lost(
                Verdict::degraded()
                    .if_idempotent()
                    .because("protocol broken"),
            )
        }
        // What broke it was judged when it broke.
        Error::Driver(DriverError::ConnectionClosed) => {
            QueryVerdict::lost(Verdict::neutral().if_idempotent())
        }
        // Parameters, conversions, local files, packets too large: the caller's. The driver closes
        // the connection for some of them; its guard notices.
        Error::Driver(_) | Error::Url(_) | Error::Other(_) => QueryVerdict {
            verdict: Verdict::neutral(),
            ..QueryVerdict::answered()
        },
    }
}

fn query_server(error: &ServerError) -> QueryVerdict {
    match error.code {
        1047 if is_wsrep(error) => QueryVerdict {
            check_now: false,
            ..QueryVerdict::lost(Verdict::down().safe().because("Galera node not ready"))
        },
        1053 | 1077..=1080 => QueryVerdict {
            check_now: false,
            ..QueryVerdict::lost(Verdict::down().if_idempotent().because("shutting down"))
        },
        1152 | 1154 | 1155 | 1158..=1161 | 1184 => {
            QueryVerdict::lost(Verdict::degraded().if_idempotent().because("wire trouble"))
        }
        // One session was killed; the peer is well.
        1927 | 3169 => QueryVerdict {
            check_now: false,
            ..QueryVerdict::lost(Verdict::neutral().if_idempotent())
        },
        9001 | 9002 => QueryVerdict {
            check_now: false,
            ..QueryVerdict::lost(
                Verdict::degraded()
                    .safe()
                    .because("proxy without a backend"),
            )
        },
        // Quorum is being lost; whether the write happened is unknown.
        1180 => QueryVerdict {
            check_now: true,
            ..QueryVerdict::discard(Verdict::degraded().because("commit failed"))
        },
        1153 | 1156 | 1157 => QueryVerdict::discard(Verdict::neutral()),
        // The peer does its job, though it is read-only: another connection may reach a writer.
        1836 => QueryVerdict::discard(Verdict::healthy()),
        1290 if error.message.contains("read-only") => QueryVerdict::discard(Verdict::healthy()),
        1047 => QueryVerdict {
            verdict: Verdict::neutral(),
            ..QueryVerdict::answered()
        },
        _ => QueryVerdict::answered(),
    }
}

/// A Galera node that refuses work says so with the code of an unknown command.
fn is_wsrep(error: &ServerError) -> bool {
    error.message.contains("WSREP has not yet prepared")
}

/// No descriptors, ports or memory left on this side.
fn is_local_shortage(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// Both TLS stacks report a refused certificate as invalid data within an I/O error of their own;
/// what the system reports has a code.
fn is_tls_refusal(error: &io::Error) -> bool {
    let tls = cfg!(any(
        feature = "rustls-ring",
        feature = "rustls-aws-lc",
        feature = "native-tls"
    ));
    tls && error.raw_os_error().is_none() && error.kind() == io::ErrorKind::InvalidData
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenhand::{PeerVerdict, Retry};

    fn server(code: u16, message: &str) -> Error {
        Error::Server(ServerError {
            code,
            message: message.into(),
            state: "HY000".into(),
        })
    }

    fn io(kind: io::ErrorKind) -> Error {
        Error::Io(IoError::Io(kind.into()))
    }

    const WSREP: &str = "WSREP has not yet prepared node for application use";

    #[test]
    fn before_the_connection_is_there() {
        use PeerVerdict::{Degraded, Down, Healthy, Neutral, Suspect};
        use Retry::{Never, Safe};
        let cases = [
            (io(io::ErrorKind::ConnectionRefused), Down, Safe),
            (io(io::ErrorKind::ConnectionReset), Down, Safe),
            (io(io::ErrorKind::UnexpectedEof), Down, Safe),
            (io(io::ErrorKind::HostUnreachable), Down, Safe),
            (
                Error::Io(IoError::Io(io::Error::from_raw_os_error(24))),
                Neutral,
                Never,
            ),
            (io(io::ErrorKind::AddrNotAvailable), Neutral, Never),
            (Error::Driver(DriverError::PacketOutOfOrder), Down, Safe),
            (
                Error::Driver(DriverError::UnknownAuthPlugin { name: "x".into() }),
                Neutral,
                Never,
            ),
            (Error::Driver(DriverError::PoolDisconnected), Neutral, Safe),
            (server(1040, ""), Degraded, Safe),
            (server(1203, ""), Degraded, Safe),
            (server(1129, ""), Down, Safe),
            (server(1130, ""), Down, Safe),
            (server(1042, ""), Down, Safe),
            (server(1045, ""), Suspect, Safe),
            (server(1049, ""), Suspect, Safe),
            (server(1047, WSREP), Down, Safe),
            (server(1053, ""), Down, Safe),
            (server(9001, ""), Degraded, Safe),
            (server(1064, ""), Healthy, Never),
        ];
        for (error, peer, retry) in cases {
            let verdict = connect(&error);
            assert_eq!((verdict.peer, verdict.retry), (peer, retry), "{error}");
        }
    }

    #[test]
    fn in_a_query() {
        use PeerVerdict::{Degraded, Down, Healthy, Neutral};
        use Retry::{IfIdempotent, Never, Safe};
        // (error, peer, retry, discard, lost, check now)
        let cases = [
            (
                io(io::ErrorKind::UnexpectedEof),
                Degraded,
                IfIdempotent,
                true,
                true,
                true,
            ),
            (server(1047, WSREP), Down, Safe, true, true, false),
            (
                server(1047, "Unknown command"),
                Neutral,
                Never,
                false,
                false,
                false,
            ),
            (server(1053, ""), Down, IfIdempotent, true, true, false),
            (server(1927, ""), Neutral, IfIdempotent, true, true, false),
            (server(1158, ""), Degraded, IfIdempotent, true, true, true),
            (server(1180, ""), Degraded, Never, true, false, true),
            (server(1153, ""), Neutral, Never, true, false, false),
            (server(1205, ""), Healthy, Never, false, false, false),
            (server(1213, ""), Healthy, Never, false, false, false),
            (
                server(1290, "running with the --read-only option"),
                Healthy,
                Never,
                true,
                false,
                false,
            ),
            (
                server(1290, "--skip-grant-tables"),
                Healthy,
                Never,
                false,
                false,
                false,
            ),
            (server(1792, ""), Healthy, Never, false, false, false),
            (server(1317, ""), Healthy, Never, false, false, false),
            (server(9001, ""), Degraded, Safe, true, true, false),
            (server(1064, ""), Healthy, Never, false, false, false),
            (
                Error::Driver(DriverError::MixedParams),
                Neutral,
                Never,
                false,
                false,
                false,
            ),
        ];
        for (error, peer, retry, discard, lost, check_now) in cases {
            let judged = query(&error);
            let verdict = (judged.verdict.peer, judged.verdict.retry);
            assert_eq!(verdict, (peer, retry), "{error}");
            let rest = (judged.discard, judged.lost, judged.check_now);
            assert_eq!(rest, (discard, lost, check_now), "{error}");
        }
    }

    #[test]
    fn a_full_peer_is_asked_again_soon_and_a_blocked_one_late() {
        assert_eq!(connect(&server(1040, "")).recover_in, Some(SHORT));
        assert_eq!(connect(&server(1129, "")).recover_in, Some(LONG));
        assert_eq!(connect(&server(1053, "")).recover_in, None);
    }
}
