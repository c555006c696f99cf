//! What a connection does with a command: executes it, and gathers the reply.
//!
//! Nothing here waits, and nothing is sent: that is the session's part.

use std::sync::atomic::Ordering;

use super::faults::{ErrPacket, Fault};
use super::protocol::login::{Login, capability};
use super::protocol::packets::{self, Reader, status};
use super::protocol::prepared::Prepared;
use super::protocol::rows::{binary_row, text_row};
use super::session::{Asked, Session};
use super::sql::answers::{Canned, Plan, syntax_error};
use super::sql::state::Outcome;
use super::sql::tokens::{self, tokens};
use super::value::{Column, ResultSet, Value};

// Commands, by their numbers in the protocol.
/// The client says farewell.
pub(super) const QUIT: u8 = 0x01;
const INIT_DB: u8 = 0x02;
const QUERY: u8 = 0x03;
const PING: u8 = 0x0e;
const CHANGE_USER: u8 = 0x11;
const STMT_PREPARE: u8 = 0x16;
const STMT_EXECUTE: u8 = 0x17;
const STMT_SEND_LONG_DATA: u8 = 0x18;
const STMT_CLOSE: u8 = 0x19;
const STMT_RESET: u8 = 0x1a;
const SET_OPTION: u8 = 0x1b;
const RESET_CONNECTION: u8 = 0x1f;

/// How the rows of a reply are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Text,
    Binary,
}

impl Session<'_> {
    /// Executes a command and gathers the reply; `None` if the command is malformed.
    pub(super) fn execute(&mut self, command: u8, body: &[u8]) -> Option<Asked> {
        let mut rest = Reader(body);
        match command {
            QUERY => {
                let text = String::from_utf8_lossy(body).into_owned();
                return Some(self.query(&text));
            }
            STMT_PREPARE => {
                self.prepare(String::from_utf8_lossy(body).into_owned());
                return Some(Asked::Query);
            }
            STMT_EXECUTE => {
                let id = rest.u32()?;
                return self.execute_prepared(id, rest.0);
            }
            STMT_SEND_LONG_DATA => {
                let (id, parameter) = (rest.u32()?, rest.u16()?);
                // There is no reply, so an unknown statement goes unnoticed until its execution.
                if let Some(prepared) = self.prepared.get_mut(&id) {
                    prepared.add_long_data(usize::from(parameter), rest.0);
                }
                return Some(Asked::Nothing);
            }
            STMT_CLOSE => {
                self.prepared.remove(&rest.u32()?);
                return Some(Asked::Nothing);
            }
            STMT_RESET => {
                let id = rest.u32()?;
                match self.prepared.get_mut(&id) {
                    Some(prepared) => {
                        prepared.reset();
                        self.put_ok(0);
                    }
                    None => self.put_err(&unknown_statement(id)),
                }
            }
            CHANGE_USER => {
                return Some(self.log_in(Login::parse_change_user(body, self.capabilities)?));
            }
            RESET_CONNECTION => {
                if self.fault() == Some(Fault::NotPrimary) {
                    self.put_err(&ErrPacket::not_primary());
                } else {
                    self.state.reset();
                    self.prepared.clear();
                    self.put_ok(0);
                }
            }
            INIT_DB => {
                self.state.database = Some(String::from_utf8_lossy(body).into_owned());
                self.put_ok(0);
            }
            PING => match self.fault() {
                Some(Fault::ErrAtPing(error)) => self.put_err(&error),
                _ => self.put_ok(0),
            },
            SET_OPTION => self.wire.put(&packets::eof(self.state.status())),
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
        let tokens = tokens(text);
        let mut statements = tokens::statements(text, &tokens);
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
        let tokens = tokens(&text);
        let plan = self.server.answers.plan(&text, &tokens);
        let columns = match &plan {
            _ if self.fault() == Some(Fault::NotPrimary) && needs_primary(&plan, &text) => {
                return self.put_err(&ErrPacket::not_primary());
            }
            Plan::Unknown => return self.put_err(&syntax_error(&text)),
            Plan::Canned(Canned::Rows(rows)) => rows.columns.clone(),
            Plan::Select(items) => items.iter().map(|i| Column::unknown(&i.name)).collect(),
            _ => Vec::new(),
        };
        let params = vec![Column::unknown("?"); tokens::parameters(&tokens)];
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
        let plan = self.server.answers.plan(statement, &tokens(statement));
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

    fn deprecate_eof(&self) -> bool {
        self.capabilities & capability::DEPRECATE_EOF != 0
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
