//! Errors before there is a connection: nothing was executed.

use crate::classify::row::On::{AnyCode, Codes, Containing, NoError, Signs};
use crate::classify::row::{
    DEGRADED, DOWN, FULL, LONG, NEUTRAL, Row, SHUTDOWN, SUSPECT, WIRE, WSREP,
};
use crate::classify::sign::Sign;

pub(super) static ROWS: &[Row] = &[
    Row::connect(
        "refused",
        Signs(&[Sign::Refused]),
        "connection refused",
        DOWN.safe(),
    ),
    Row::connect(
        "connect-lost",
        Signs(&[Sign::Io, Sign::Closed]),
        "connection failed",
        DOWN.safe(),
    )
    .note("Reset or EOF before or in the handshake, no route, a name that does not resolve."),
    Row::connect(
        "attempt-timeout",
        Signs(&[Sign::TimedOut]),
        "no connection in time",
        DOWN.safe(),
    ),
    Row::connect(
        "slow-login",
        Signs(&[Sign::Slow]),
        "no connection in time, although it answered others",
        NEUTRAL.safe(),
    )
    .check_now(),
    Row::connect(
        "local-shortage",
        Signs(&[Sign::LocalShortage]),
        "this host lacks descriptors, ports or memory",
        NEUTRAL,
    )
    .note("Blaming the peer would eject every peer."),
    Row::connect(
        "no-free-slot",
        Signs(&[Sign::NoFreeConnection]),
        "all of this client's connections to it were in use",
        NEUTRAL,
    ),
    Row::connect(
        "out-of-time",
        Signs(&[Sign::OutOfTime]),
        "the caller's time limit passed",
        NEUTRAL,
    ),
    Row::connect(
        "busy",
        Signs(&[Sign::Busy]),
        "all of this client's connections to it were in use, and another peer had a free one",
        NEUTRAL.busy(),
    ),
    Row::connect(
        "moved-on",
        Signs(&[Sign::MovedOn, Sign::PoolClosed]),
        "the attempt moved on before the peer had answered",
        NEUTRAL.safe(),
    ),
    Row::connect(
        "avoided",
        Signs(&[Sign::Avoided]),
        "the same work failed on it, or on as many others as may run it",
        NEUTRAL.busy(),
    ),
    Row::connect(
        "disconnected",
        Signs(&[Sign::Disconnected]),
        "the pool was disconnected",
        NEUTRAL,
    ),
    Row::connect(
        "try-failed",
        Signs(&[Sign::TryFailed]),
        "a try of idempotent work failed",
        NEUTRAL,
    )
    .note("The failure was already judged on its connection."),
    Row::connect(
        "bad-handshake",
        Signs(&[Sign::Protocol, Sign::PacketTooLarge]),
        "bad handshake",
        DOWN.safe(),
    )
    .note(
        "The peer does not speak MySQL, or bytes are out of order, or the driver panics. The driver reports \
         HTTP as a packet that is too large. What it cannot parse at all counts as `connect-lost`.",
    ),
    Row::connect("1043", Codes(&[1043]), "bad handshake", DOWN.safe()),
    Row::connect(
        "tls-certificate",
        Signs(&[Sign::TlsCertificate]),
        "TLS certificate refused",
        SUSPECT.safe(),
    ),
    Row::connect(
        "tls-missing",
        Signs(&[Sign::TlsMissing]),
        "no TLS",
        SUSPECT.safe(),
    ),
    Row::connect(
        "tls-broken",
        Signs(&[Sign::TlsBroken]),
        "TLS handshake failed",
        DOWN.safe(),
    ),
    Row::connect(
        "own-settings",
        Signs(&[Sign::OwnSettings]),
        "an authentication plugin or TLS file that this client cannot use",
        NEUTRAL,
    )
    .note(
        "It would fail on every peer. The driver reports a missing TLS file as an I/O error, which \
         counts as `connect-lost`.",
    ),
    Row::connect(
        "caller-connect",
        Signs(&[Sign::Caller]),
        "the caller's own options or hook",
        NEUTRAL,
    ),
    Row::connect(
        "full",
        Codes(&[1040]),
        "too many connections",
        FULL,
    )
    .note("It may come instead of the greeting."),
    Row::connect(
        "user-limit",
        Codes(&[1203, 1226]),
        "user limit reached",
        FULL,
    ),
    Row::connect(
        "unresolved",
        Codes(&[1042]),
        "it cannot resolve this host's name",
        DOWN.safe(),
    ),
    Row::connect(
        "blocked",
        Codes(&[1129]),
        "this host is blocked",
        DOWN.safe().recover_in(LONG),
    ),
    Row::connect(
        "not-allowed",
        Codes(&[1130]),
        "this host is not allowed",
        DOWN.safe().recover_in(LONG),
    ),
    Row::connect(
        "connect-galera",
        Containing(&[1047], WSREP),
        "Galera node not ready",
        DOWN.safe(),
    ),
    Row::connect(
        "connect-shutdown",
        Codes(SHUTDOWN),
        "shutting down",
        DOWN.safe(),
    ),
    Row::connect("connect-wire", Codes(WIRE), "network error on the server", DEGRADED.safe()),
    Row::connect(
        "connect-proxy",
        Codes(&[9001, 9002]),
        "proxy without a backend",
        DEGRADED.safe(),
    ),
    Row::connect(
        "login-refused",
        AnyCode,
        "login refused",
        SUSPECT.safe(),
    )
    .note(
        "A wrong password, a locked or expired account, a server in offline mode, a refused `setup` \
         statement. If as many peers as `max_refusals` refuse, the first error is returned, and no \
         peer is ejected. A login that another accepts ejects those that refused; an idle \
         connection does not.",
    ),
    Row::connect(
        "idle-dead",
        NoError,
        "an idle connection was found dead",
        NEUTRAL.safe(),
    )
    .note(
        "End of stream, reset, `wait_timeout`, 4031. The driver checks each idle connection before it \
         hands it out, drops a dead one and takes the next, so the caller sees no error.",
    ),
];
