//! The ways in which the double can fail, as values.
//!
//! Each is something that real peers were seen to do. Some concern new connections only, some the
//! held ones, some both; every fault says which. A fault is looked up at the moment it would
//! strike, so setting one reaches the connections that are open already.

/// What the double does wrong, until another fault is set or the fault is cleared.
///
/// A connection on which a fault swallowed a reply stays mute until its client closes it, also
/// after [`clear_fault`](super::FakeMySql::clear_fault): a late reply is what
/// [`freeze`](super::FakeMySql::freeze) and [`thaw`](super::FakeMySql::thaw) give.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The listening socket is closed: a new connection is refused (`ECONNREFUSED`). Held
    /// connections live on.
    Refuse,
    /// New connections are accepted and get not a byte; held ones get no reply any more.
    Silent,
    /// The greeting is sent, the login never answered. `COM_CHANGE_USER` is a login, too, here and
    /// below.
    StallInHandshake,
    /// The login and the driver's settings query right after it are answered, nothing else is: no
    /// query, no ping, no reset. The statement counts as executed, since its client cannot know
    /// that it was not.
    StallInQuery,
    /// The statement is executed, and its reply breaks off inside a packet: header and half the
    /// body, then the connection closes. Strikes queries, prepared executions and
    /// `COM_STMT_PREPARE`; the driver's settings query, ping and reset are answered.
    CutMidPacket,
    /// The error in place of the greeting, without SQLSTATE as the protocol wants it there, then
    /// the connection closes. Held connections live on.
    ErrAsGreeting(ErrPacket),
    /// The error in answer to the login, then the connection closes. Held connections live on.
    ErrAtLogin(ErrPacket),
    /// The error for every query and every prepared execution; the statement is not executed and
    /// the connection stays open. The driver's settings query, ping, reset and `COM_STMT_PREPARE`
    /// are answered.
    ErrInQuery(ErrPacket),
    /// The error for every ping; all else is answered and the connection stays open.
    ErrAtPing(ErrPacket),
    /// Like a Galera node outside the primary component: login, ping, `SELECT` of literals and
    /// `@@variables`, and `SET` succeed; every other statement, and `COM_RESET_CONNECTION`, fails
    /// with 1047 08S01 and the connection stays open.
    NotPrimary,
}

/// An ERR packet: what a server says when it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrPacket {
    /// The error number, such as 1040.
    pub code: u16,
    /// Five characters, such as `08004`. On the wire a longer one is cut and a shorter one filled
    /// up with zeros.
    pub sqlstate: String,
    /// The text, in English on a server with default settings.
    pub message: String,
}

impl ErrPacket {
    /// `ErrPacket::new(1040, "08004", "Too many connections")`
    pub fn new(code: u16, sqlstate: impl Into<String>, message: impl Into<String>) -> ErrPacket {
        ErrPacket {
            code,
            sqlstate: sqlstate.into(),
            message: message.into(),
        }
    }

    /// What a Galera node says while it has no quorum.
    pub(super) fn not_primary() -> ErrPacket {
        ErrPacket::new(
            1047,
            "08S01",
            "WSREP has not yet prepared node for application use",
        )
    }
}
