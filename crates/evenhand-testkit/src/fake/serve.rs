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

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;

use super::commands::QUIT;
use super::faults::{ErrPacket, Fault};
use super::protocol::login::{self, Login};
use super::protocol::packets;
use super::server::Server;
use super::session::{Asked, Session};

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
    let mut session = Session::new(&server, id, stream);
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
}
