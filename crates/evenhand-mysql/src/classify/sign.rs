//! What an error looks like, before it is judged: a server's code and text, or a sign of another
//! kind.

use std::error::Error as _;
use std::io;

use mysql_async::{DriverError, Error};

use crate::error::AttemptError;

/// An error as the table's rows are looked up by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen<'e> {
    /// A server's own error.
    Server { code: u16, message: &'e str },
    /// Anything else.
    Sign(Sign),
}

/// What can be seen of a failure that is no server's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Nothing listens there.
    Refused,
    /// A connection ended, was reset, or could not be had; a name that does not resolve.
    Io,
    /// This host is short of descriptors, ports or memory.
    LocalShortage,
    /// The peer's certificate does not hold.
    TlsCertificate,
    /// TLS ended with an alert or with the end of the stream.
    TlsBroken,
    /// TLS is asked for, and the peer has none.
    TlsMissing,
    /// Bytes that are not what the protocol says.
    Protocol,
    /// An authentication plugin that is not known or not allowed, or this client's own TLS files.
    OwnSettings,
    /// A packet larger than this client may send or take.
    PacketTooLarge,
    /// The connection was found closed: what closed it was judged when it did.
    Closed,
    /// The peer's pool was closed while an attempt was on its way.
    PoolClosed,
    /// Parameters, conversions, local files, URLs, hooks: the caller's.
    Caller,
    /// No connection within the attempt's time.
    TimedOut,
    /// As before, though the peer answered others.
    Slow,
    /// All of this client's connections to the peer were in use, to the end of the caller's time.
    NoFreeConnection,
    /// The caller's time was up.
    OutOfTime,
    /// All of this client's connections to the peer were in use, and another had one to spare.
    Busy,
    /// The attempt ended without a word of the peer: it was ejected, or avoided.
    MovedOn,
    /// The pool was disconnected.
    Disconnected,
    /// A try of idempotent work failed; its connection's guard has judged it.
    TryFailed,
}

impl<'e> Seen<'e> {
    /// How a failed attempt to get a connection looks.
    pub(crate) fn attempt(error: &'e AttemptError) -> Self {
        Self::Sign(match error {
            AttemptError::Connect(error) => return Self::error(error),
            AttemptError::TimedOut(_) => Sign::TimedOut,
            AttemptError::Slow(_) => Sign::Slow,
            AttemptError::NoFreeConnection(_) => Sign::NoFreeConnection,
            AttemptError::OutOfTime => Sign::OutOfTime,
            AttemptError::Disconnected => Sign::Disconnected,
            AttemptError::Busy(_) => Sign::Busy,
            AttemptError::Ejected | AttemptError::Avoided => Sign::MovedOn,
            AttemptError::TryTimedOut(_)
            | AttemptError::ConnectionLost(_)
            | AttemptError::RolledBack(_) => Sign::TryFailed,
        })
    }

    /// How an error of the driver looks.
    pub(crate) fn error(error: &'e Error) -> Self {
        Self::Sign(match error {
            Error::Server(error) => {
                return Self::Server {
                    code: error.code,
                    message: &error.message,
                };
            }
            // Its source is an I/O error, or else a TLS stack's own.
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
    // What the system reports has no inner error.
    let Some(inner) = error.get_ref() else {
        return Sign::Io;
    };
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

/// OpenSSL's errors of a handshake name its SSL routines; those that name others, and all of
/// rustls's own that come outside an I/O error, are of this client's files.
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

/// No descriptors, ports or memory left on this side.
fn is_local_shortage(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}
