//! What a statement gives.
//!
//! The canned answers come first, so that a test can give any statement another outcome, then the
//! few things that the double understands by itself, and last the rule of thumb: what looks like a
//! read is an error, what looks like a write succeeds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::parse::{self, Expr, Item, Target};
use super::tokens::{Token, TokenKind};
use crate::fake::faults::ErrPacket;
use crate::fake::value::{ResultSet, Value};
use crate::lock::lock;

/// What to do with a statement.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Someone said what to answer.
    Canned(Canned),
    /// A `SELECT` without tables.
    Select(Vec<Item>),
    Begin,
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Set(Vec<(Target, Expr)>),
    Use(String),
    /// `DO`: works out its expressions, and so sleeps, and gives no rows.
    Do(Vec<Item>),
    /// Changes rows: part of a transaction.
    Write,
    /// Changes the schema: ends a transaction first.
    Define,
    /// Succeeds and does nothing.
    Other,
    /// A read without an answer.
    Unknown,
}

/// An answer that was given beforehand.
#[derive(Clone, Debug)]
pub(crate) enum Canned {
    Rows(Arc<ResultSet>),
    Err(ErrPacket),
}

/// The canned answers and the system variables, shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    canned: Mutex<HashMap<String, Canned>>,
    variables: Mutex<HashMap<String, Value>>,
}

impl Answers {
    pub(crate) fn put(&self, statement: &str, canned: Canned) {
        lock(&self.canned).insert(trimmed(statement).to_owned(), canned);
    }

    pub(crate) fn set_variable(&self, name: &str, value: Value) {
        lock(&self.variables).insert(name.to_ascii_lowercase(), value);
    }

    pub(crate) fn variable(&self, name: &str) -> Option<Value> {
        lock(&self.variables).get(name).cloned()
    }

    /// Finds out what to do with one statement, given with its tokens.
    pub(crate) fn plan(&self, statement: &str, tokens: &[Token]) -> Plan {
        if let Some(canned) = lock(&self.canned).get(trimmed(statement)) {
            return Plan::Canned(canned.clone());
        }
        let Some((first, rest)) = tokens.split_first() else {
            return Plan::Unknown;
        };
        let second = |keyword: &str| rest.first().is_some_and(|token| token.is(keyword));
        let chain = || {
            rest.windows(2)
                .any(|two| two[0].is("AND") && two[1].is("CHAIN"))
        };
        let any = |keywords: &[&str]| keywords.iter().any(|keyword| first.is(keyword));

        if first.is("SELECT") {
            parse::items(statement, rest).map_or(Plan::Unknown, Plan::Select)
        } else if first.is("BEGIN") || (first.is("START") && second("TRANSACTION")) {
            Plan::Begin
        } else if first.is("COMMIT") {
            Plan::Commit { chain: chain() }
        } else if first.is("ROLLBACK") {
            // Back to a savepoint: the transaction goes on.
            let to = rest.iter().any(|token| token.is("TO"));
            if to {
                Plan::Other
            } else {
                Plan::Rollback { chain: chain() }
            }
        } else if first.is("SET") {
            Plan::Set(parse::assignments(rest))
        } else if first.is("USE") {
            Plan::Use(
                rest.first()
                    .map_or("", |t| &statement[t.start..t.end])
                    .replace('`', ""),
            )
        } else if first.is("DO") {
            parse::items(statement, rest).map_or(Plan::Write, Plan::Do)
        } else if any(&["CREATE", "DROP", "ALTER", "TRUNCATE", "RENAME"]) {
            Plan::Define
        } else if any(&["INSERT", "UPDATE", "DELETE", "REPLACE", "CALL", "LOAD"]) {
            Plan::Write
        } else if any(&[
            "SHOW", "WITH", "TABLE", "DESCRIBE", "DESC", "EXPLAIN", "VALUES",
        ]) || !matches!(first.kind, TokenKind::Word(_))
        {
            Plan::Unknown
        } else {
            Plan::Other
        }
    }
}

/// What MySQL says of a statement that it cannot read.
pub(crate) fn syntax_error(statement: &str) -> ErrPacket {
    ErrPacket::new(
        1064,
        "42000",
        format!(
            "You have an error in your SQL syntax; the test double has no answer for it, \
             give one with FakeMySql::answer: '{statement}'"
        ),
    )
}

/// A statement without the blanks around it and without its last semicolon.
fn trimmed(statement: &str) -> &str {
    statement.trim().trim_end_matches(';').trim_end()
}

/// The variables that a new server has.
pub(crate) fn default_variables(port: u16, version: &str) -> Answers {
    let answers = Answers::default();
    let variables: [(&str, Value); 20] = [
        ("port", port.into()),
        ("hostname", format!("fake-{port}").into()),
        ("max_allowed_packet", (64 << 20).into()),
        ("wait_timeout", 28_800.into()),
        ("interactive_timeout", 28_800.into()),
        // NULL, or mysql_async would look for a socket file.
        ("socket", Value::Null),
        ("version", version.into()),
        ("version_comment", "Evenhand's test double".into()),
        ("autocommit", 1.into()),
        ("read_only", 0.into()),
        ("super_read_only", 0.into()),
        ("innodb_read_only", 0.into()),
        ("server_id", port.into()),
        ("sql_mode", "".into()),
        ("time_zone", "SYSTEM".into()),
        ("tx_isolation", "REPEATABLE-READ".into()),
        ("transaction_isolation", "REPEATABLE-READ".into()),
        ("character_set_client", "utf8mb4".into()),
        ("lower_case_table_names", 0.into()),
        ("max_connections", 151.into()),
    ];
    for (name, value) in variables {
        answers.set_variable(name, value);
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn plan(statement: &str) -> String {
        let plan = Answers::default().plan(statement, &tokens(statement));
        let plan = format!("{plan:?}");
        plan.split(['(', ' ']).next().unwrap().to_owned()
    }

    #[test]
    fn a_statement_is_known_by_its_first_words() {
        for (statement, wanted) in [
            ("select 1", "Select"),
            ("SELECT a FROM t", "Unknown"),
            ("/* hint */ begin", "Begin"),
            ("START TRANSACTION WITH CONSISTENT SNAPSHOT", "Begin"),
            ("COMMIT AND CHAIN", "Commit"),
            ("ROLLBACK WORK", "Rollback"),
            ("ROLLBACK TO SAVEPOINT s", "Other"),
            ("SAVEPOINT s", "Other"),
            ("SET NAMES utf8mb4", "Set"),
            ("DO 1", "Do"),
            ("DO f(x)", "Write"),
            ("insert into t values (1)", "Write"),
            ("CREATE TABLE t (a INT)", "Define"),
            ("SHOW STATUS", "Unknown"),
            ("(SELECT 1)", "Unknown"),
            ("", "Unknown"),
        ] {
            assert_eq!(plan(statement), wanted, "{statement}");
        }
    }

    #[test]
    fn a_canned_answer_wins_and_blanks_do_not_matter() {
        let answers = Answers::default();
        answers.put(" DO 1; ", Canned::Err(syntax_error("")));
        let plan = answers.plan("DO 1", &tokens("DO 1"));
        assert!(matches!(plan, Plan::Canned(Canned::Err(_))));
    }
}
