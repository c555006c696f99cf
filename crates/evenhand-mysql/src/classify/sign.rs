//! The features of an error by which the table's rows are looked up: a server's code and message, or a
//! [`Sign`].

use std::error::Error as _;
use std::io;

use mysql_async::{DriverError, Error};

use crate::caught::Panicked;
use crate::error::AttemptError;

/// An error as a row sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen<'e> {
    /// A server error.
    Server { code: u16, message: &'e str },
    /// Anything else.
    Sign(Sign),
}

/// A failure that is no server error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The connection was refused.
    Refused,
    /// A connection ended, was reset or could not be made, or a name did not resolve.
    Io,
    /// This host lacks descriptors, ports or memory.
    LocalShortage,
    /// The peer's certificate was refused.
    TlsCertificate,
    /// TLS ended with an alert or with the end of the stream.
    TlsBroken,
    /// TLS is required, and the peer does not offer it.
    TlsMissing,
    /// A violation of the protocol.
    Protocol,
    /// An authentication plugin that is unknown or not allowed, or unusable TLS files of this client.
    OwnSettings,
    /// A packet larger than this client may send or receive.
    PacketTooLarge,
    /// The connection was closed already. The cause was judged when it closed.
    Closed,
    /// The peer's pool was closed during an attempt.
    PoolClosed,
    /// The caller's parameters, conversions, local files, URLs or hooks.
    Caller,
    /// No connection within the connect timeout.
    TimedOut,
    /// As [`TimedOut`](Self::TimedOut), although the peer answered others.
    Slow,
    /// All of this client's connections to the peer were in use until the caller's time limit.
    NoFreeConnection,
    /// The caller's time limit passed.
    OutOfTime,
    /// All of this client's connections to the peer were in use, and another peer had a free one.
    Busy,
    /// The attempt ended before the peer answered, as the peer was ejected.
    MovedOn,
    /// The peer was not tried, as the same work failed there.
    Avoided,
    /// The pool was disconnected.
    Disconnected,
    /// A try of idempotent work failed. Its connection's guard has judged it.
    TryFailed,
}

impl<'e> Seen<'e> {
    /// A failed attempt to get a connection.
    pub(crate) fn attempt(error: &'e AttemptError) -> Self {
        Self::Sign(match error {
            AttemptError::Connect(error) => return Self::error(error),
            AttemptError::TimedOut(_) => Sign::TimedOut,
            AttemptError::Slow(_) => Sign::Slow,
            AttemptError::NoFreeConnection(_) => Sign::NoFreeConnection,
            AttemptError::OutOfTime => Sign::OutOfTime,
            AttemptError::Disconnected => Sign::Disconnected,
            AttemptError::Busy(_) => Sign::Busy,
            AttemptError::Ejected => Sign::MovedOn,
            AttemptError::Avoided => Sign::Avoided,
            AttemptError::TryTimedOut(_)
            | AttemptError::ConnectionLost(_)
            | AttemptError::RolledBack(_) => Sign::TryFailed,
        })
    }

    /// An error of the driver.
    pub(crate) fn error(error: &'e Error) -> Self {
        Self::Sign(match error {
            Error::Server(error) => {
                return Self::Server {
                    code: error.code,
                    message: &error.message,
                };
            }
            // Its source is an I/O error, or an error of the TLS stack.
            Error::Io(error) => match error.source() {
                Some(source) => match source.downcast_ref::<io::Error>() {
                    Some(error) => io_sign(error),
                    None => tls_sign(&source.to_string()),
                },
                None => Sign::Io,
            },
            Error::Driver(error) => driver_sign(error),
            Error::Url(_) | Error::Other(_) => Sign::Caller,
        })
    }
}

fn io_sign(error: &io::Error) -> Sign {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Sign::Refused;
    }
    if is_local_shortage(error) {
        return Sign::LocalShortage;
    }
    // An error of the system has no inner error.
    let Some(inner) = error.get_ref() else {
        return Sign::Io;
    };
    if inner.is::<Panicked>() {
        return Sign::Protocol;
    }
    let text = inner.to_string();
    let says = |what| text.contains(what);
    if says("larger than max_allowed_packet") {
        Sign::PacketTooLarge
    } else if says("out of sync") || says("Bad compressed packet header") {
        Sign::Protocol
    } else if says("fatal alert") || says("tls handshake eof") {
        Sign::TlsBroken
    } else if says("certificate") {
        Sign::TlsCertificate
    } else {
        Sign::Io
    }
}

/// OpenSSL's errors in a handshake name its SSL routines. Those that name other routines, and all of
/// rustls's that are not in an I/O error, concern this client's files.
fn tls_sign(text: &str) -> Sign {
    let says = |what| text.contains(what);
    if says("alert") || says("EOF") {
        Sign::TlsBroken
    } else if says("verify failed") || says("not trusted") {
        Sign::TlsCertificate
    } else if says("SSL routines") {
        Sign::TlsBroken
    } else {
        Sign::OwnSettings
    }
}

fn driver_sign(error: &DriverError) -> Sign {
    match error {
        DriverError::ConnectionClosed => Sign::Closed,
        DriverError::PoolDisconnected => Sign::PoolClosed,
        DriverError::PacketTooLarge => Sign::PacketTooLarge,
        DriverError::NoClientSslFlagFromServer => Sign::TlsMissing,
        DriverError::PacketOutOfOrder
        | DriverError::UnexpectedPacket { .. }
        | DriverError::CantParseServerVersion { .. }
        | DriverError::BadCompressedPacketHeader
        | DriverError::InvalidParsecSalt => Sign::Protocol,
        DriverError::UnknownAuthPlugin { .. }
        | DriverError::MysqlOldPasswordDisabled
        | DriverError::CleartextPluginDisabled
        | DriverError::NoKeyFound
        | DriverError::NamedPipesDisabled => Sign::OwnSettings,
        _ => Sign::Caller,
    }
}

/// Whether this host lacks descriptors, ports or memory.
fn is_local_shortage(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}
