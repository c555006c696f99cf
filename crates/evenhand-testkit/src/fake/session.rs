//! One connection, from the greeting to the end.
//!
//! ```text
//! accepted -> greeting -> login -> command -> reply -> command -> ... -> closed
//!                 \          \                  \
//!                  `----------`------------------`--> mute (until the client closes) or closed: a fault
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

use super::answers::{Canned, Plan};
use super::faults::{ErrPacket, Fault};
use super::login::{self, Login, Nonce, capability};
use super::packets::{self, Reader, status};
use super::prepared::Prepared;
use super::server::{Control, Server};
use super::sql;
use super::state::{Outcome, State};
use super::value::{Column, ResultSet, Value, binary_row, text_row};
use super::wire::Wire;

/// Commands, by their numbers in the protocol.
mod command {
    pub(super) const QUIT: u8 = 0x01;
    pub(super) const INIT_DB: u8 = 0x02;
    pub(super) const QUERY: u8 = 0x03;
    pub(super) const PING: u8 = 0x0e;
    pub(super) const CHANGE_USER: u8 = 0x11;
    pub(super) const STMT_PREPARE: u8 = 0x16;
    pub(super) const STMT_EXECUTE: u8 = 0x17;
    pub(super) const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub(super) const STMT_CLOSE: u8 = 0x19;
    pub(super) const STMT_RESET: u8 = 0x1a;
    pub(super) const SET_OPTION: u8 = 0x1b;
    pub(super) const RESET_CONNECTION: u8 = 0x1f;
}

/// What a command asks for; faults tell these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// A query or a prepared statement.
    Query,
    /// What the driver asks of its own accord right after the login.
    Settings,
    /// `COM_CHANGE_USER`.
    Login,
    /// Ping, reset and the like.
    Other,
    /// Nothing: there is no reply.
    Nothing,
}

/// How the rows of a reply are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Text,
    Binary,
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

struct Session<'s> {
    server: &'s Server,
    id: u32,
    control: watch::Receiver<Control>,
    wire: Wire,
    nonce: Nonce,
    /// What client and server both can do.
    capabilities: u32,
    state: State,
    prepared: HashMap<u32, Prepared>,
    last_prepared: u32,
    /// No query has come since the login.
    fresh: bool,
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
            if command == command::QUIT {
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
        let answer = match Login::parse(&body) {
            Some(login) => self.log_in(login),
            None => Err(ErrPacket::new(1043, "08S01", "Bad handshake")),
        };
        if let Err(error) = &answer {
            self.wire.put(&packets::err(error));
        }
        match self.reply(Asked::Login).await? {
            Next::Continue if answer.is_err() => Ok(Next::Close),
            next => Ok(next),
        }
    }

    /// Takes a user in, unless the fault or the password is against it.
    fn log_in(&mut self, login: Login) -> Result<(), ErrPacket> {
        match self.fault() {
            Some(Fault::ErrAtLogin(error)) => return Err(error),
            // The login will not be answered, and so has not happened.
            Some(Fault::Silent | Fault::StallInHandshake) => return Ok(()),
            _ => {}
        }
        login.check(self.server.settings.account.as_ref(), &self.nonce)?;
        self.capabilities = login.capabilities & self.server.settings.capabilities;
        self.state = State::new(self.id);
        self.state.user = login.user;
        self.state.database = login.database;
        self.prepared.clear();
        self.fresh = true;
        self.server.logins.fetch_add(1, Ordering::Relaxed);
        self.put_ok(0);
        Ok(())
    }

    /// Executes a command and gathers the reply; `None` if the command is malformed.
    fn execute(&mut self, command: u8, body: &[u8]) -> Option<Asked> {
        let mut rest = Reader(body);
        match command {
            command::QUERY => {
                let text = String::from_utf8_lossy(body).into_owned();
                return Some(self.query(&text));
            }
            command::STMT_PREPARE => {
                self.prepare(String::from_utf8_lossy(body).into_owned());
                return Some(Asked::Query);
            }
            command::STMT_EXECUTE => {
                let id = rest.u32()?;
                return self.execute_prepared(id, rest.0);
            }
            command::STMT_SEND_LONG_DATA => {
                let (id, parameter) = (rest.u32()?, rest.u16()?);
                // There is no reply, so an unknown statement goes unnoticed until its execution.
                if let Some(prepared) = self.prepared.get_mut(&id) {
                    prepared.add_long_data(usize::from(parameter), rest.0);
                }
                return Some(Asked::Nothing);
            }
            command::STMT_CLOSE => {
                self.prepared.remove(&rest.u32()?);
                return Some(Asked::Nothing);
            }
            command::STMT_RESET => {
                let id = rest.u32()?;
                match self.prepared.get_mut(&id) {
                    Some(prepared) => {
                        prepared.reset();
                        self.put_ok(0);
                    }
                    None => self.put_err(&unknown_statement(id)),
                }
            }
            command::CHANGE_USER => {
                let login = Login::parse_change_user(body, self.capabilities)?;
                if let Err(error) = self.log_in(login) {
                    self.put_err(&error);
                }
                return Some(Asked::Login);
            }
            command::RESET_CONNECTION => {
                if self.fault() == Some(Fault::NotPrimary) {
                    self.put_err(&ErrPacket::not_primary());
                } else {
                    self.state.reset();
                    self.prepared.clear();
                    self.put_ok(0);
                }
            }
            command::INIT_DB => {
                self.state.database = Some(String::from_utf8_lossy(body).into_owned());
                self.put_ok(0);
            }
            command::PING => self.put_ok(0),
            command::SET_OPTION => self.wire.put(&packets::eof(self.state.status())),
            _ => self.put_err(&ErrPacket::new(1047, "08S01", "Unknown command")),
        }
        Some(Asked::Other)
    }

    /// COM_QUERY, with one statement or several.
    fn query(&mut self, text: &str) -> Asked {
        let settings = std::mem::take(&mut self.fresh) && is_settings_query(text);
        if !settings {
            self.server.queries.fetch_add(1, Ordering::Relaxed);
        }
        let tokens = sql::tokens(text);
        let mut statements = sql::statements(text, &tokens);
        if statements.is_empty() || self.capabilities & capability::MULTI_STATEMENTS == 0 {
            statements = vec![text];
        }
        let last = statements.len() - 1;
        for (i, statement) in statements.into_iter().enumerate() {
            let outcome = self.run_statement(statement, &[], settings);
            let failed = matches!(outcome, Outcome::Err(_));
            self.put_outcome(outcome, Protocol::Text, i < last);
            if failed {
                break;
            }
        }
        if settings {
            Asked::Settings
        } else {
            Asked::Query
        }
    }

    fn prepare(&mut self, text: String) {
        let tokens = sql::tokens(&text);
        let plan = self.server.answers.plan(&text, &tokens);
        let columns = match &plan {
            _ if self.fault() == Some(Fault::NotPrimary) && needs_primary(&plan, &text) => {
                return self.put_err(&ErrPacket::not_primary());
            }
            Plan::Unknown => return self.put_err(&super::answers::syntax_error(&text)),
            Plan::Canned(Canned::Rows(rows)) => rows.columns.clone(),
            Plan::Select(items) => items.iter().map(|i| Column::unknown(&i.name)).collect(),
            _ => Vec::new(),
        };
        let params = vec![Column::unknown("?"); sql::parameters(&tokens)];
        self.last_prepared += 1;
        let id = self.last_prepared;
        self.wire
            .put(&packets::prepared(id, columns.len(), params.len()));
        self.put_columns(&params);
        self.put_columns(&columns);
        self.prepared.insert(id, Prepared::new(text, params.len()));
    }

    fn execute_prepared(&mut self, id: u32, body: &[u8]) -> Option<Asked> {
        self.server.queries.fetch_add(1, Ordering::Relaxed);
        let Some(prepared) = self.prepared.get_mut(&id) else {
            self.put_err(&unknown_statement(id));
            return Some(Asked::Query);
        };
        let params = prepared.values(body)?;
        let text = prepared.text.clone();
        let outcome = self.run_statement(&text, &params, false);
        self.put_outcome(outcome, Protocol::Binary, false);
        Some(Asked::Query)
    }

    /// Executes one statement, unless the fault refuses it.
    fn run_statement(&mut self, statement: &str, params: &[Value], settings: bool) -> Outcome {
        let plan = self.server.answers.plan(statement, &sql::tokens(statement));
        if !settings {
            match self.fault() {
                Some(Fault::ErrInQuery(error)) => return self.state.fail(error),
                Some(Fault::NotPrimary) if needs_primary(&plan, statement) => {
                    return self.state.fail(ErrPacket::not_primary());
                }
                _ => self.server.executed(statement),
            }
        }
        self.state
            .run(plan, statement, params, &self.server.answers)
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
            | (Some(Fault::StallInHandshake), Asked::Login)
            | (Some(Fault::StallInQuery), Asked::Query | Asked::Other) => Ok(Next::Mute),
            (Some(Fault::CutMidPacket), Asked::Query) => {
                self.wire.send_cut().await?;
                Ok(Next::Close)
            }
            _ => {
                self.wire.send().await?;
                Ok(Next::Continue)
            }
        }
    }

    fn put_outcome(&mut self, outcome: Outcome, protocol: Protocol, more: bool) {
        let mut bits = self.state.status();
        if more {
            bits |= status::MORE_RESULTS;
        }
        match outcome {
            Outcome::Ok(affected) => self.wire.put(&packets::ok(affected, bits)),
            Outcome::Err(error) => self.put_err(&error),
            Outcome::Rows(set) => self.put_rows(&set, protocol, bits),
        }
    }

    fn put_rows(&mut self, set: &ResultSet, protocol: Protocol, bits: u16) {
        let mut head = Vec::new();
        packets::put_lenenc_int(&mut head, set.columns.len() as u64);
        self.wire.put(&head);
        self.put_columns(&set.columns);
        for row in &set.rows {
            self.wire.put(&match protocol {
                Protocol::Text => text_row(row),
                Protocol::Binary => binary_row(&set.columns, row),
            });
        }
        self.wire
            .put(&packets::end_of_rows(self.deprecate_eof(), bits));
    }

    /// Column definitions, if there are any, and the EOF that ends them for older clients.
    fn put_columns(&mut self, columns: &[Column]) {
        for column in columns {
            self.wire.put(&packets::column(column));
        }
        if !columns.is_empty() && !self.deprecate_eof() {
            self.wire.put(&packets::eof(self.state.status()));
        }
    }

    fn put_ok(&mut self, affected: u64) {
        self.wire.put(&packets::ok(affected, self.state.status()));
    }

    fn put_err(&mut self, error: &ErrPacket) {
        self.wire.put(&packets::err(error));
    }

    fn deprecate_eof(&self) -> bool {
        self.capabilities & capability::DEPRECATE_EOF != 0
    }

    fn fault(&self) -> Option<Fault> {
        self.control.borrow().fault.clone()
    }

    /// Waits while the server is frozen.
    async fn thawed(&mut self) {
        // It fails only when the server is gone, and then this connection ends at its next step.
        let _ = self.control.wait_for(|control| !control.frozen).await;
    }
}

/// Whether a Galera node outside the primary component refuses the statement.
fn needs_primary(plan: &Plan, statement: &str) -> bool {
    let show = || {
        statement
            .trim_start()
            .get(..4)
            .is_some_and(|w| w.eq_ignore_ascii_case("show"))
    };
    !matches!(plan, Plan::Select(_) | Plan::Set(_)) && !show()
}

/// Whether this is what mysql_async asks after the login: some of three variables, in this order.
fn is_settings_query(text: &str) -> bool {
    let Some(mut rest) = text.strip_prefix("SELECT ") else {
        return false;
    };
    for variable in ["@@max_allowed_packet", "@@wait_timeout", "@@socket"] {
        rest = rest
            .strip_prefix(variable)
            .map_or(rest, |tail| tail.trim_start_matches(','));
    }
    rest.is_empty()
}

fn unknown_statement(id: u32) -> ErrPacket {
    ErrPacket::new(
        1243,
        "HY000",
        format!("Unknown prepared statement handler ({id}) given"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_settings_query_is_known() {
        for text in [
            "SELECT @@max_allowed_packet,@@wait_timeout",
            "SELECT @@max_allowed_packet,@@wait_timeout,@@socket",
            "SELECT @@socket",
        ] {
            assert!(is_settings_query(text), "{text}");
        }
        assert!(!is_settings_query("SELECT @@port"));
        assert!(!is_settings_query(
            "SELECT @@max_allowed_packet,@@wait_timeout,1"
        ));
    }
}
