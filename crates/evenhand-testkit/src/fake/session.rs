//! A connection's state, and what gathers its replies.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::faults::{ErrPacket, Fault};
use super::protocol::login::{self, Login, Nonce};
use super::protocol::packets;
use super::protocol::prepared::Prepared;
use super::protocol::wire::Wire;
use super::server::{Control, Server};
use super::sql::state::State;

/// What a command asks for; faults tell these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A query or a prepared statement.
    Query,
    /// What the driver queries right after the login.
    Settings,
    /// To be let in: the handshake, or `COM_CHANGE_USER`.
    Login { accepted: bool },
    /// Ping, reset and the like.
    Other,
    /// Nothing: there is no reply.
    Nothing,
}

/// One connection.
pub(super) struct Session<'s> {
    pub(super) server: &'s Server,
    pub(super) id: u32,
    pub(super) control: watch::Receiver<Control>,
    pub(super) wire: Wire,
    pub(super) nonce: Nonce,
    /// What client and server both can do.
    pub(super) capabilities: u32,
    pub(super) state: State,
    pub(super) prepared: HashMap<u32, Prepared>,
    pub(super) last_prepared: u32,
    /// No query has come since the login.
    pub(super) fresh: bool,
}

impl<'s> Session<'s> {
    pub(super) fn new(server: &'s Server, id: u32, stream: Arc<TcpStream>) -> Self {
        Session {
            control: server.control.subscribe(),
            wire: Wire::new(stream),
            nonce: login::nonce(),
            capabilities: 0,
            state: State::new(id),
            prepared: HashMap::new(),
            last_prepared: 0,
            fresh: true,
            server,
            id,
        }
    }

    /// Takes a user in, unless the fault or the password is against it.
    pub(super) fn log_in(&mut self, login: Login) -> Asked {
        let checked = match self.fault() {
            Some(Fault::ErrAtLogin(error)) => Err(error),
            _ => login.check(self.server.settings.account.as_ref(), &self.nonce),
        };
        if let Err(error) = checked {
            self.put_err(&error);
            return Asked::Login { accepted: false };
        }
        self.capabilities = login.capabilities & self.server.settings.capabilities;
        self.state = State::new(self.id);
        self.state.user = login.user;
        self.state.database = login.database;
        self.prepared.clear();
        self.fresh = true;
        self.put_ok(0);
        Asked::Login { accepted: true }
    }

    pub(super) fn put_ok(&mut self, affected: u64) {
        self.wire.put(&packets::ok(affected, self.state.status()));
    }

    pub(super) fn put_err(&mut self, error: &ErrPacket) {
        self.wire.put(&packets::err(error));
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.control.borrow().fault.clone()
    }

    /// Waits while the server is frozen.
    pub(super) async fn thawed(&mut self) {
        // It fails only when the server is gone, and then this connection ends at its next step.
        let _ = self.control.wait_for(|control| !control.frozen).await;
    }
}
