//! Errors in a statement and in a `COMMIT`.

use crate::classify::row::On::{AnyCode, Codes, Containing, NoError, Signs};
use crate::classify::row::{
    BEFORE_COMMIT, DEGRADED, DOWN, HEALTHY, NEUTRAL, Row, SHUTDOWN, WIRE, WSREP,
};
use crate::classify::sign::Sign;

pub(super) static ROWS: &[Row] = &[
    Row::commit(
        "commit-lost",
        Signs(&[
            Sign::Io,
            Sign::Refused,
            Sign::TlsBroken,
            Sign::TlsCertificate,
            Sign::Protocol,
        ]),
        "connection lost in COMMIT: its outcome is unknown",
        DEGRADED,
    )
    .check_now(),
    Row::query(
        "lost",
        Signs(&[
            Sign::Io,
            Sign::Refused,
            Sign::TlsBroken,
            Sign::TlsCertificate,
        ]),
        "connection lost",
        DEGRADED.if_idempotent(),
    )
    .discard()
    .check_now()
    .note("SIGTERM, SIGKILL and KILL all look like this, and so does an unplugged cable."),
    Row::query(
        "protocol",
        Signs(&[Sign::Protocol]),
        "protocol violation",
        DEGRADED.if_idempotent(),
    )
    .discard()
    .check_now(),
    Row::query(
        "closed",
        Signs(&[Sign::Closed]),
        "the connection was closed before",
        NEUTRAL.if_idempotent(),
    )
    .discard()
    .note("The cause was judged when the connection was closed."),
    Row::query(
        "query-shortage",
        Signs(&[Sign::LocalShortage]),
        "this host lacks descriptors, ports or memory",
        NEUTRAL,
    )
    .discard(),
    Row::query(
        "own-deadline",
        NoError,
        "the caller dropped the statement",
        NEUTRAL,
    )
    .discard()
    .check_now()
    .note("There is no error: the connection's guard sees the drop. The check tells a slow statement \
         from a dead peer."),
    Row::query(
        "idle-timeout",
        Codes(&[4031]),
        "the server had closed the idle connection",
        NEUTRAL.safe(),
    )
    .discard()
    .note("MySQL 8 only. If the packet comes out of turn, the driver reports `protocol`."),
    Row::query(
        "galera",
        Containing(&[1047], WSREP),
        "Galera node not ready",
        DOWN.safe(),
    )
    .discard()
    .note("Connect, ping and `SELECT 1` still succeed there."),
    Row::query(
        "unknown-command",
        Codes(&[1047]),
        "unknown command",
        NEUTRAL,
    ),
    Row::query(
        "quorum-lost",
        Codes(&[1180]),
        "commit failed: its outcome is unknown",
        DEGRADED,
    )
    .discard()
    .check_now(),
    Row::query(
        "shutdown",
        Codes(SHUTDOWN),
        "shutting down",
        DOWN.if_idempotent(),
    )
    .discard(),
    Row::query(
        "killed",
        Codes(&[1927, 3169]),
        "one session was killed",
        NEUTRAL.if_idempotent(),
    )
    .discard(),
    Row::query(
        "wire",
        Codes(WIRE),
        "network error on the server",
        DEGRADED.if_idempotent(),
    )
    .discard()
    .check_now(),
    Row::query(
        "packet-too-large",
        Codes(&[1153]),
        "the caller's packet is too large",
        NEUTRAL,
    )
    .discard(),
    Row::query(
        "own-packet-too-large",
        Signs(&[Sign::PacketTooLarge]),
        "the caller's packet is too large",
        NEUTRAL,
    )
    .discard()
    .note("The driver refuses to send it."),
    Row::query(
        "protocol-fault",
        Codes(&[1156, 1157]),
        "protocol fault",
        NEUTRAL,
    )
    .discard(),
    Row::query(
        "restart-transaction",
        Codes(&[1020, 1205, 1213, 1614, 3101]),
        "the transaction must be restarted",
        HEALTHY,
    )
    .restart()
    .note(
        "1213 is normal in Galera, even at COMMIT. 1020 is MariaDB's with `innodb_snapshot_isolation`.",
    ),
    Row::query(
        "group-left",
        Containing(&[3100], BEFORE_COMMIT),
        "the group refused the commit",
        HEALTHY.safe(),
    )
    .discard()
    .restart()
    .in_writable_pools(DOWN.safe())
    .note(
        "The server left its replication group, or was expelled. Nothing was committed: \
         `Pool::transaction` runs it again.",
    ),
    Row::query(
        "read-only-option",
        Containing(&[1290], "read-only"),
        "the peer is read-only",
        HEALTHY.safe(),
    )
    .discard()
    .restart()
    .in_writable_pools(DOWN.safe())
    .note("A refused `COMMIT` is rolled back: `Pool::transaction` runs it again."),
    Row::query(
        "read-only-mode",
        Codes(&[1836]),
        "the peer is read-only",
        HEALTHY.safe(),
    )
    .discard()
    .restart()
    .in_writable_pools(DOWN.safe()),
    Row::query(
        "read-only-transaction",
        Codes(&[1792]),
        "the transaction is read-only",
        HEALTHY,
    )
    .in_writable_pools(HEALTHY)
    .note("The caller's own, or all that are begun there are: only a check tells, and only it ejects."),
    Row::query(
        "user-limit-in-statement",
        Codes(&[1226]),
        "user limit reached",
        NEUTRAL.safe(),
    )
    .discard()
    .note("`MAX_QUERIES_PER_HOUR` and its like: the statement was not executed."),
    Row::query(
        "password-expired",
        Codes(&[1820]),
        "the password has expired",
        NEUTRAL.safe(),
    )
    .discard()
    .note("Logins tell whether it has on other peers, too."),
    Row::query(
        "interrupted",
        Codes(&[1317]),
        "a statement was stopped",
        HEALTHY,
    )
    .note(
        "`KILL QUERY`, or a server that shuts down: a check tells, before the caller gets the error. If it \
         fails, this counts as a lost connection.",
    ),
    Row::query(
        "stopped",
        Codes(&[1969, 3024]),
        "a statement was stopped",
        HEALTHY,
    ),
    Row::query(
        "proxy",
        Codes(&[9001, 9002]),
        "proxy without a backend",
        DEGRADED.safe(),
    )
    .discard()
    .note("If all peers are proxies of the same backends, set `min_up`."),
    Row::query(
        "proxy-other",
        Codes(&[9003, 9005, 9006]),
        "the proxy refused the statement",
        HEALTHY,
    ),
    Row::query(
        "other",
        AnyCode,
        "the server answered with an error",
        HEALTHY,
    ),
    Row::query(
        "caller",
        Signs(&[
            Sign::Caller,
            Sign::OwnSettings,
            Sign::TlsMissing,
            Sign::PoolClosed,
        ]),
        "the caller's mistake",
        NEUTRAL,
    )
    .note(
        "Parameters, conversions, local files. The driver closes the connection after some of them, and the guard notices.",
    ),
];
