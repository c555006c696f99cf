//! The table's judgements, and that every error has a row.

use std::io;
use std::time::Duration;

use evenhand::PeerVerdict::{Degraded, Down, Healthy, Neutral};
use evenhand::Retry::{Busy, Never, Safe};
use evenhand::{State, Verdict};
use mysql_async::{DriverError, Error, IoError, UrlError};

use super::{rules, server};
use crate::classify::row::On;
use crate::classify::rules::row;
use crate::classify::sign::{Seen, Sign};
use crate::classify::table::rows;
use crate::classify::{Judgement, Phase, asks_for_restart, is_full};
use crate::error::AttemptError;
use crate::usage::PeerUsage;

fn io(kind: io::ErrorKind) -> Error {
    Error::Io(IoError::Io(kind.into()))
}

fn os(code: i32) -> Error {
    Error::Io(IoError::Io(io::Error::from_raw_os_error(code)))
}

/// As the driver wraps errors of its codec or a TLS stack.
fn inner(kind: io::ErrorKind, text: &'static str) -> Error {
    Error::Io(IoError::Io(io::Error::new(kind, text)))
}

fn connect(error: &Error) -> Verdict {
    rules(false).error(Phase::Connect, error).verdict
}

/// The row and its judgement, as text.
fn says(phase: Phase, error: &Error) -> String {
    let Judgement {
        verdict,
        discard,
        check_now,
    } = rules(false).error(phase, error);
    let mut said = format!(
        "{}: {:?} {:?}",
        id(phase, error),
        verdict.peer,
        verdict.retry
    );
    if let Some(interval) = verdict.recover_in {
        said.push_str(&format!(" {interval:?}"));
    }
    // In the connect phase there is no connection to discard.
    for (word, set) in [("discard", discard), ("check", check_now)] {
        if set && phase != Phase::Connect {
            said.push_str(&format!(" {word}"));
        }
    }
    said
}

fn id(phase: Phase, error: &Error) -> &'static str {
    row(phase, &Seen::error(error)).map_or("none", |row| row.id)
}

const WSREP: &str = "WSREP has not yet prepared node for application use";
const TOO_LARGE: &str = "Packet is larger than max_allowed_packet";

/// Rows: refused, connect-lost, local-shortage, bad-handshake, 1043, tls-certificate, tls-missing,
/// tls-broken, own-settings, caller-connect, full, user-limit, unresolved, blocked, not-allowed,
/// login-refused, connect-galera, connect-shutdown, connect-wire, connect-proxy (unit)
#[test]
fn errors_while_connecting() {
    use io::ErrorKind as Kind;
    let cases = [
        (io(Kind::ConnectionRefused), "refused: Down Safe"),
        (io(Kind::ConnectionReset), "connect-lost: Down Safe"),
        (io(Kind::UnexpectedEof), "connect-lost: Down Safe"),
        (io(Kind::HostUnreachable), "connect-lost: Down Safe"),
        (os(110), "connect-lost: Down Safe"),
        (
            inner(Kind::Other, "failed to lookup address information"),
            "connect-lost: Down Safe",
        ),
        (os(24), "local-shortage: Neutral Never"),
        (os(23), "local-shortage: Neutral Never"),
        (os(12), "local-shortage: Neutral Never"),
        (io(Kind::AddrNotAvailable), "local-shortage: Neutral Never"),
        (
            Error::Driver(DriverError::PacketOutOfOrder),
            "bad-handshake: Down Safe",
        ),
        (
            inner(Kind::Other, "Packets out of sync"),
            "bad-handshake: Down Safe",
        ),
        (inner(Kind::Other, TOO_LARGE), "bad-handshake: Down Safe"),
        (
            Error::Driver(DriverError::UnknownAuthPlugin { name: "x".into() }),
            "own-settings: Neutral Never",
        ),
        (
            Error::Driver(DriverError::NoKeyFound),
            "own-settings: Neutral Never",
        ),
        (
            Error::Driver(DriverError::NoClientSslFlagFromServer),
            "tls-missing: Suspect Safe",
        ),
        (
            inner(Kind::InvalidData, "invalid peer certificate: UnknownIssuer"),
            "tls-certificate: Suspect Safe",
        ),
        (
            inner(
                Kind::InvalidData,
                "received fatal alert: CertificateRequired",
            ),
            "tls-broken: Down Safe",
        ),
        (
            inner(Kind::UnexpectedEof, "tls handshake eof"),
            "tls-broken: Down Safe",
        ),
        (
            Error::Driver(DriverError::PoolDisconnected),
            "moved-on: Neutral Safe",
        ),
        (
            Error::Url(UrlError::Invalid),
            "caller-connect: Neutral Never",
        ),
        (server(1040, ""), "full: Neutral Busy"),
        (server(1203, ""), "user-limit: Neutral Busy"),
        (server(1226, ""), "user-limit: Neutral Busy"),
        (server(1042, ""), "unresolved: Down Safe"),
        (server(1043, ""), "1043: Down Safe"),
        (server(1129, ""), "blocked: Down Safe 300s"),
        (server(1130, ""), "not-allowed: Down Safe 300s"),
        (server(1044, ""), "login-refused: Suspect Safe"),
        (server(1045, ""), "login-refused: Suspect Safe"),
        (server(1049, ""), "login-refused: Suspect Safe"),
        (server(3118, ""), "login-refused: Suspect Safe"),
        (server(4151, ""), "login-refused: Suspect Safe"),
        (server(1047, WSREP), "connect-galera: Down Safe"),
        (
            server(1047, "Unknown command"),
            "login-refused: Suspect Safe",
        ),
        (server(1053, ""), "connect-shutdown: Down Safe"),
        (server(1080, ""), "connect-shutdown: Down Safe"),
        (server(1158, ""), "connect-wire: Degraded Safe"),
        (server(9001, ""), "connect-proxy: Degraded Safe"),
        (server(1064, ""), "login-refused: Suspect Safe"),
    ];
    for (error, said) in cases {
        assert_eq!(says(Phase::Connect, &error), said, "{error}");
    }
}

/// Rows: attempt-timeout, slow-login, no-free-slot, out-of-time, busy, moved-on, avoided, disconnected, try-failed
/// (unit)
#[test]
fn attempts_without_a_driver_error() {
    let time = Duration::from_secs(2);
    let full = PeerUsage {
        peer: "db0".into(),
        state: State::Up,
        in_use: 10,
        limit: 10,
        idle: 0,
        opened: 10,
        waiting: 1,
    };
    let cases = [
        (AttemptError::TimedOut(time), Down, Safe),
        (AttemptError::Slow(time), Neutral, Safe),
        (AttemptError::NoFreeConnection(full.clone()), Neutral, Never),
        (AttemptError::OutOfTime, Neutral, Never),
        (AttemptError::Ejected, Neutral, Safe),
        (AttemptError::Busy(full), Neutral, Busy),
        (AttemptError::Avoided, Neutral, Busy),
        (AttemptError::Disconnected, Neutral, Never),
        (AttemptError::TryTimedOut(time), Neutral, Never),
        (AttemptError::Connect(server(1040, "")), Neutral, Busy),
    ];
    for (error, peer, retry) in cases {
        let verdict = rules(false).attempt(&error);
        assert_eq!((verdict.peer, verdict.retry), (peer, retry), "{error}");
    }
}

/// Rows: lost, protocol, closed, query-shortage, idle-timeout, galera, unknown-command, quorum-lost,
/// shutdown, killed, wire, packet-too-large, own-packet-too-large, protocol-fault,
/// restart-transaction, group-left, read-only-option, read-only-mode, read-only-transaction,
/// user-limit-in-statement, password-expired, interrupted, stopped, proxy, proxy-other, other, caller (unit)
#[test]
fn errors_in_a_statement() {
    use io::ErrorKind as Kind;
    let cases = [
        (
            io(Kind::UnexpectedEof),
            "lost: Degraded IfIdempotent discard check",
        ),
        (
            io(Kind::BrokenPipe),
            "lost: Degraded IfIdempotent discard check",
        ),
        (
            Error::Driver(DriverError::PacketOutOfOrder),
            "protocol: Degraded IfIdempotent discard check",
        ),
        (
            Error::Driver(DriverError::ConnectionClosed),
            "closed: Neutral IfIdempotent discard",
        ),
        (os(24), "query-shortage: Neutral Never discard"),
        (server(4031, ""), "idle-timeout: Neutral Safe discard"),
        (server(1047, WSREP), "galera: Down Safe discard"),
        (
            server(1047, "Unknown command"),
            "unknown-command: Neutral Never",
        ),
        (
            server(1180, ""),
            "quorum-lost: Degraded Never discard check",
        ),
        (server(1053, ""), "shutdown: Down IfIdempotent discard"),
        (server(1079, ""), "shutdown: Down IfIdempotent discard"),
        (server(1927, ""), "killed: Neutral IfIdempotent discard"),
        (server(3169, ""), "killed: Neutral IfIdempotent discard"),
        (
            server(1158, ""),
            "wire: Degraded IfIdempotent discard check",
        ),
        (
            server(1184, ""),
            "wire: Degraded IfIdempotent discard check",
        ),
        (server(1153, ""), "packet-too-large: Neutral Never discard"),
        (
            inner(Kind::Other, TOO_LARGE),
            "own-packet-too-large: Neutral Never discard",
        ),
        (server(1156, ""), "protocol-fault: Neutral Never discard"),
        (server(1020, ""), "restart-transaction: Healthy Never"),
        (server(1205, ""), "restart-transaction: Healthy Never"),
        (server(1213, ""), "restart-transaction: Healthy Never"),
        (server(1614, ""), "restart-transaction: Healthy Never"),
        (server(3101, ""), "restart-transaction: Healthy Never"),
        (
            server(1290, "running with the --super-read-only option"),
            "read-only-option: Healthy Safe discard",
        ),
        (server(1290, "--skip-grant-tables"), "other: Healthy Never"),
        (server(1836, ""), "read-only-mode: Healthy Safe discard"),
        (server(1792, ""), "read-only-transaction: Healthy Never"),
        (
            server(3100, "running replication hook 'before_commit'."),
            "group-left: Healthy Safe discard",
        ),
        (
            server(3100, "running replication hook 'after_commit'."),
            "other: Healthy Never",
        ),
        (
            server(1226, ""),
            "user-limit-in-statement: Neutral Safe discard",
        ),
        (server(1820, ""), "password-expired: Neutral Safe discard"),
        (server(1317, ""), "interrupted: Healthy Never"),
        (server(1969, ""), "stopped: Healthy Never"),
        (server(3024, ""), "stopped: Healthy Never"),
        (server(9001, ""), "proxy: Degraded Safe discard"),
        (server(9005, ""), "proxy-other: Healthy Never"),
        (server(1064, ""), "other: Healthy Never"),
        (
            Error::Driver(DriverError::MixedParams),
            "caller: Neutral Never",
        ),
    ];
    for (error, said) in cases {
        assert_eq!(says(Phase::Query, &error), said, "{error}");
    }
}

/// Rows: group-left, read-only-option, read-only-mode, read-only-transaction (unit)
#[test]
fn a_read_only_peer_is_down_in_a_writable_pool() {
    for error in [
        server(1290, "the --read-only option"),
        server(1836, ""),
        server(3100, "before_commit"),
    ] {
        let judged = rules(true).error(Phase::Query, &error);
        assert_eq!(judged.verdict.peer, Down, "{error}");
        assert_eq!(judged.verdict.retry, Safe, "{error}");
        assert!(judged.discard && judged.check_now, "{error}");
    }
    let own = rules(true).error(Phase::Query, &server(1792, ""));
    assert_eq!(own.verdict.peer, Healthy, "a check decides");
    assert!(own.check_now && !own.discard);
}

#[test]
fn conflicts_and_refused_commits_ask_for_a_restart() {
    for code in [1020, 1205, 1213, 1614, 3101] {
        assert!(asks_for_restart(&server(code, "")), "{code}");
    }
    assert!(asks_for_restart(&server(3100, "hook 'before_commit'")));
    assert!(asks_for_restart(&server(1290, "--super-read-only")));
    for other in [server(3100, "hook 'after_commit'"), server(1317, "")] {
        assert!(!asks_for_restart(&other), "{other}");
    }
}

/// Rows: commit-lost (unit)
#[test]
fn nothing_is_retried_in_a_commit() {
    for row in rows() {
        if row.phases.contains(&Phase::Commit) {
            let judged = row.judge(Phase::Commit, true);
            assert_eq!(judged.verdict.retry, Never, "{}", row.id);
        }
    }
    let lost = io(io::ErrorKind::UnexpectedEof);
    assert_eq!(id(Phase::Commit, &lost), "commit-lost");
    let judged = rules(false).error(Phase::Commit, &lost);
    assert_eq!(judged.verdict.peer, Degraded);
    assert!(judged.discard && judged.check_now);
}

#[test]
fn every_row_with_a_code_is_reached() {
    for own in rows() {
        let (codes, text) = match own.on {
            On::Codes(codes) => (codes, ""),
            On::Containing(codes, text) => (codes, text),
            _ => continue,
        };
        for (&code, &phase) in codes
            .iter()
            .flat_map(|code| own.phases.iter().map(move |phase| (code, phase)))
        {
            assert_eq!(
                id(phase, &server(code, text)),
                own.id,
                "{code} in {phase:?}"
            );
        }
    }
}

#[test]
fn every_sign_of_the_driver_has_a_row() {
    let of_the_driver = [
        Sign::Refused,
        Sign::Io,
        Sign::LocalShortage,
        Sign::TlsCertificate,
        Sign::TlsBroken,
        Sign::TlsMissing,
        Sign::Protocol,
        Sign::OwnSettings,
        Sign::PacketTooLarge,
        Sign::Closed,
        Sign::PoolClosed,
        Sign::Caller,
    ];
    for phase in Phase::ALL {
        for sign in of_the_driver {
            assert!(
                row(phase, &Seen::Sign(sign)).is_some(),
                "{sign:?} {phase:?}"
            );
        }
        assert!(row(phase, &Seen::error(&server(1, ""))).is_some());
    }
}

#[test]
fn row_names_are_unique_and_every_row_has_a_reason() {
    for row in rows() {
        let same = rows().filter(|other| other.id == row.id);
        assert_eq!(same.count(), 1, "{}", row.id);
        assert!(row.judgement.verdict.reason.is_some(), "{}", row.id);
    }
}

#[test]
fn only_connection_limits_count_as_full() {
    for code in [1040, 1203, 1226] {
        assert!(is_full(&connect(&server(code, ""))), "{code}");
    }
    assert!(!is_full(&connect(&server(1053, ""))));
    assert!(!is_full(&connect(&server(1045, ""))));
    // In a statement it is the user's hourly limit.
    let verdict = rules(false).error(Phase::Query, &server(1226, "")).verdict;
    assert!(!is_full(&verdict));
}
