//! One connection, from the greeting to the end.
//!
//! ```text
//! accepted -> greeting -> login -> command -> reply -> command -> ... -> closed
//!        \          \       \                 \
//!         `----------`-------`-----------------`--> a fault: mute, or closed
//! ```
//!
//! A command is executed first and answered afterwards, and the faults that concern the reply are
//! looked up when it is due: whatever was set while a statement slept, strikes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::commands::QUIT;
use super::faults::{ErrPacket, Fault};
use super::login::{self, Login, Nonce};
use super::packets;
use super::prepared::Prepared;
use super::server::{Control, Server};
use super::state::State;
use super::wire::Wire;

/// What a command asks for; faults tell these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A query or a prepared statement.
    Query,
    /// What the driver asks of its own accord right after the login.
    Settings,
    /// To be let in: the handshake, or `COM_CHANGE_USER`.
    Login { accepted: bool },
    /// Ping, reset and the like.
    Other,
    /// Nothing: there is no reply.
    Nothing,
}

/// What comes after a step of the handshake or a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Continue,
    Mute,
    Close,
}

/// Serves one connection until it ends.
pub(super) async fn serve(server: Arc<Server>, id: u32, stream: Arc<TcpStream>) {
    let _present = Present {
        server: &server,
        id,
    };
    let mut session = Session {
        control: server.control.subscribe(),
        wire: Wire::new(stream),
        nonce: login::nonce(),
        capabilities: 0,
        state: State::new(id),
        prepared: HashMap::new(),
        last_prepared: 0,
        fresh: true,
        server: &server,
        id,
    };
    // An I/O error is the client's way of ending the connection, or a kill's.
    if let Ok(Next::Mute) = session.run().await {
        session.wire.stay_mute().await;
    }
}

/// Takes the connection off the server's list, however it ends.
struct Present<'s> {
    server: &'s Server,
    id: u32,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.server.ended(self.id);
    }
}

/// One connection.
pub(super) struct Session<'s> {
    pub(super) server: &'s Server,
    id: u32,
    control: watch::Receiver<Control>,
    pub(super) wire: Wire,
    nonce: Nonce,
    /// What client and server both can do.
    pub(super) capabilities: u32,
    pub(super) state: State,
    pub(super) prepared: HashMap<u32, Prepared>,
    pub(super) last_prepared: u32,
    /// No query has come since the login.
    pub(super) fresh: bool,
}

impl Session<'_> {
    async fn run(&mut self) -> io::Result<Next> {
        match self.handshake().await? {
            Next::Continue => {}
            end => return Ok(end),
        }
        while let Some(body) = self.wire.read().await? {
            self.thawed().await;
            self.state.sleep = Duration::ZERO;
            let Some((&command, body)) = body.split_first() else {
                return Ok(Next::Close);
            };
            if command == QUIT {
                break;
            }
            let Some(asked) = self.execute(command, body) else {
                let malformed = ErrPacket::new(1835, "HY000", "Malformed communication packet");
                self.wire.put(&packets::err(&malformed));
                self.wire.send().await?;
                break;
            };
            match self.reply(asked).await? {
                Next::Continue => {}
                end => return Ok(end),
            }
        }
        Ok(Next::Close)
    }

    async fn handshake(&mut self) -> io::Result<Next> {
        self.thawed().await;
        match self.fault() {
            Some(Fault::Silent) => return Ok(Next::Mute),
            Some(Fault::ErrAsGreeting(error)) => {
                self.wire.put(&packets::err_as_greeting(&error));
                self.wire.send().await?;
                return Ok(Next::Close);
            }
            _ => {}
        }
        let settings = &self.server.settings;
        let greeting = login::greeting(
            &settings.version,
            self.id,
            &self.nonce,
            settings.capabilities,
        );
        self.wire.put(&greeting);
        self.wire.send().await?;

        let Some(body) = self.wire.read().await? else {
            return Ok(Next::Close);
        };
        self.thawed().await;
        let asked = match Login::parse(&body) {
            Some(login) => self.log_in(login),
            None => {
                self.put_err(&ErrPacket::new(1043, "08S01", "Bad handshake"));
                Asked::Login { accepted: false }
            }
        };
        self.reply(asked).await
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

    /// Sends what was gathered, when it is due and if the fault lets it.
    async fn reply(&mut self, asked: Asked) -> io::Result<Next> {
        if asked == Asked::Nothing {
            return Ok(Next::Continue);
        }
        let delay = self.control.borrow().delay;
        for pause in [self.state.sleep, delay] {
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.wire.closed() => return Ok(Next::Close),
                }
            }
        }
        self.thawed().await;
        match (self.fault(), asked) {
            (Some(Fault::Silent), _)
            | (Some(Fault::StallInHandshake), Asked::Login { .. })
            | (Some(Fault::StallInQuery), Asked::Query | Asked::Other) => Ok(Next::Mute),
            (Some(Fault::CutMidPacket), Asked::Query) => {
                self.wire.send_cut().await?;
                Ok(Next::Close)
            }
            (_, Asked::Login { accepted: false }) => {
                self.server.refused_logins.fetch_add(1, Ordering::Relaxed);
                self.wire.send().await?;
                Ok(Next::Close)
            }
            _ => {
                if let Asked::Login { .. } = asked {
                    // Before the client can know, and look.
                    self.server.logins.fetch_add(1, Ordering::Relaxed);
                }
                self.wire.send().await?;
                Ok(Next::Continue)
            }
        }
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.control.borrow().fault.clone()
    }

    /// Waits while the server is frozen.
    async fn thawed(&mut self) {
        // It fails only when the server is gone, and then this connection ends at its next step.
        let _ = self.control.wait_for(|control| !control.frozen).await;
    }
}
