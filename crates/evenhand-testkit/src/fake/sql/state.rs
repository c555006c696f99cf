//! What a connection remembers from one statement to the next, and what a statement does to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::answers::{Answers, Canned, Plan, syntax_error};
use super::parse::{Expr, Item, Target};
use crate::fake::faults::ErrPacket;
use crate::fake::protocol::packets::status;
use crate::fake::value::{ResultSet, Value};

/// What a statement came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// OK, with the number of affected rows.
    Ok(u64),
    Rows(Arc<ResultSet>),
    Err(ErrPacket),
}

/// One connection's memory.
#[derive(Debug)]
pub(crate) struct State {
    id: u32,
    pub(crate) user: String,
    pub(crate) database: Option<String>,
    autocommit: bool,
    in_transaction: bool,
    system_variables: HashMap<String, Value>,
    user_variables: HashMap<String, Value>,
    /// How long the statements of the present command sleep, in all.
    pub(crate) sleep: Duration,
}

impl State {
    pub(crate) fn new(id: u32) -> State {
        State {
            id,
            user: String::new(),
            database: None,
            autocommit: true,
            in_transaction: false,
            system_variables: HashMap::new(),
            user_variables: HashMap::new(),
            sleep: Duration::ZERO,
        }
    }

    /// COM_RESET_CONNECTION: as after the login. User and database stay.
    pub(crate) fn reset(&mut self) {
        let user = std::mem::take(&mut self.user);
        let database = self.database.take();
        *self = State {
            user,
            database,
            ..State::new(self.id)
        };
    }

    /// The bits that every OK carries.
    pub(crate) fn status(&self) -> u16 {
        let mut bits = 0;
        if self.in_transaction {
            bits |= status::IN_TRANSACTION;
        }
        if self.autocommit {
            bits |= status::AUTOCOMMIT;
        }
        bits
    }

    /// Executes a statement.
    pub(crate) fn run(
        &mut self,
        plan: Plan,
        statement: &str,
        params: &[Value],
        answers: &Answers,
    ) -> Outcome {
        match plan {
            Plan::Canned(Canned::Rows(rows)) => {
                self.touch_table();
                Outcome::Rows(rows)
            }
            Plan::Canned(Canned::Err(error)) => self.fail(error),
            Plan::Select(items) => match self.row(&items, params, answers) {
                Ok(row) => {
                    let names = items.into_iter().map(|item| item.name).collect();
                    Outcome::Rows(Arc::new(ResultSet::new(names, vec![row])))
                }
                Err(error) => self.fail(error),
            },
            Plan::Do(items) => match self.row(&items, params, answers) {
                Ok(_) => Outcome::Ok(1),
                Err(error) => self.fail(error),
            },
            Plan::Begin => {
                self.in_transaction = true;
                Outcome::Ok(0)
            }
            Plan::Commit { chain } | Plan::Rollback { chain } => {
                self.in_transaction = chain;
                Outcome::Ok(0)
            }
            Plan::Set(assignments) => self.set(assignments, params, answers),
            Plan::Use(database) => {
                self.database = Some(database);
                Outcome::Ok(0)
            }
            Plan::Write => {
                self.touch_table();
                Outcome::Ok(1)
            }
            Plan::Define => {
                self.in_transaction = false;
                Outcome::Ok(1)
            }
            Plan::Other => Outcome::Ok(0),
            Plan::Unknown => self.fail(syntax_error(statement)),
        }
    }

    /// An error that ends the statement, and a deadlock the whole transaction.
    pub(crate) fn fail(&mut self, error: ErrPacket) -> Outcome {
        const DEADLOCK: u16 = 1213;
        if error.code == DEADLOCK {
            self.in_transaction = false;
        }
        Outcome::Err(error)
    }

    /// Without autocommit, whatever uses a table begins a transaction.
    fn touch_table(&mut self) {
        self.in_transaction |= !self.autocommit;
    }

    fn set(
        &mut self,
        assignments: Vec<(Target, Expr)>,
        params: &[Value],
        answers: &Answers,
    ) -> Outcome {
        for (target, expr) in assignments {
            let value = match self.evaluate(&expr, params, answers) {
                Ok(value) => value,
                Err(error) => return self.fail(error),
            };
            match target {
                Target::User(name) => {
                    self.user_variables.insert(name, value);
                }
                Target::System(name) if name == "autocommit" => {
                    let on = value.is_true();
                    // Switching it on commits what is under way.
                    self.in_transaction &= self.autocommit || !on;
                    self.autocommit = on;
                }
                Target::System(name) => {
                    self.system_variables.insert(name, value);
                }
            }
        }
        Outcome::Ok(0)
    }

    fn row(
        &mut self,
        items: &[Item],
        params: &[Value],
        answers: &Answers,
    ) -> Result<Vec<Value>, ErrPacket> {
        items
            .iter()
            .map(|item| self.evaluate(&item.expr, params, answers))
            .collect()
    }

    fn evaluate(
        &mut self,
        expr: &Expr,
        params: &[Value],
        answers: &Answers,
    ) -> Result<Value, ErrPacket> {
        Ok(match expr {
            Expr::Literal(value) => value.clone(),
            Expr::Parameter(n) => params.get(*n).cloned().ok_or_else(|| {
                ErrPacket::new(
                    1064,
                    "42000",
                    "A '?' is a parameter in prepared statements only",
                )
            })?,
            Expr::UserVariable(name) => self
                .user_variables
                .get(name)
                .cloned()
                .unwrap_or(Value::Null),
            Expr::SystemVariable(name) if name == "autocommit" => i32::from(self.autocommit).into(),
            Expr::SystemVariable(name) => match self.system_variables.get(name) {
                Some(value) => value.clone(),
                None => answers.variable(name).ok_or_else(|| {
                    ErrPacket::new(1193, "HY000", format!("Unknown system variable '{name}'"))
                })?,
            },
            Expr::ConnectionId => self.id.into(),
            Expr::Version => answers.variable("version").unwrap_or(Value::Null),
            Expr::Database => self.database.clone().into(),
            Expr::User => format!("{}@127.0.0.1", self.user).into(),
            Expr::Sleep(seconds) => {
                let seconds = self.evaluate(seconds, params, answers)?.as_seconds();
                // What is negative, infinite or no number is no sleep.
                self.sleep += Duration::try_from_secs_f64(seconds).unwrap_or_default();
                Value::Int(0)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::default_variables;
    use super::super::tokens::tokens;
    use super::*;

    /// Runs statements, and gives the status after each as "A" for autocommit and "T" for a
    /// transaction.
    fn statuses(statements: &[&str]) -> String {
        let answers = default_variables(1, "8");
        let mut state = State::new(1);
        let mut all = Vec::new();
        for statement in statements {
            let plan = answers.plan(statement, &tokens(statement));
            state.run(plan, statement, &[], &answers);
            let bits = state.status();
            let letter = |bit, letter| if bits & bit != 0 { letter } else { "" };
            all.push(letter(status::AUTOCOMMIT, "A").to_owned() + letter(1, "T"));
        }
        all.join(" ")
    }

    #[test]
    fn a_transaction_lasts_from_begin_to_its_end() {
        assert_eq!(
            statuses(&["BEGIN", "SELECT 1", "COMMIT", "BEGIN", "ROLLBACK"]),
            "AT AT A AT A"
        );
        assert_eq!(
            statuses(&["BEGIN", "ROLLBACK TO s", "COMMIT AND CHAIN"]),
            "AT AT AT"
        );
        assert_eq!(statuses(&["BEGIN", "CREATE TABLE t (a INT)"]), "AT A");
        assert_eq!(
            statuses(&["BEGIN", "SELECT x FROM y", "INSERT INTO t VALUES (1)"]),
            "AT AT AT"
        );
    }

    #[test]
    fn without_autocommit_the_first_use_of_a_table_begins_one() {
        let statements = [
            "SET autocommit=0",
            "SELECT 1",
            "INSERT INTO t VALUES (1)",
            "SET autocommit=ON",
        ];
        assert_eq!(statuses(&statements), "  T A");
    }

    #[test]
    fn a_reset_forgets_all_but_user_and_database() {
        let answers = default_variables(1, "8");
        let mut state = State::new(1);
        state.user = "root".into();
        state.database = Some("test".into());
        let set = "SET autocommit=0, @x=1, wait_timeout=5";
        state.run(answers.plan(set, &tokens(set)), set, &[], &answers);
        state.reset();
        let read = "SELECT @x, @@wait_timeout, @@autocommit, DATABASE()";
        let outcome = state.run(answers.plan(read, &tokens(read)), read, &[], &answers);
        let Outcome::Rows(set) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            set.rows[0],
            [Value::Null, 28_800.into(), 1.into(), "test".into()]
        );
        assert_eq!(state.user, "root");
    }
}
