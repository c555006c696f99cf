//! [`FakeMySql`], the handle of a double, and its builder.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::faults::{ErrPacket, Fault};
use super::protocol::login::{Account, capability};
use super::serve::serve;
use super::server::{Server, Settings};
use super::sql::answers::{Canned, default_variables};
use super::value::{ResultSet, Value};
use crate::port::ReservedPort;

/// An in-process MySQL server on its own loopback port.
///
/// It understands logins, text queries, prepared statements, transactions, ping, reset and change
/// of user. It has no tables:
///
/// - `SELECT` of literals, `?`, `@@variables`, `@variables`, `CONNECTION_ID()`, `VERSION()`,
///   `DATABASE()`, `USER()` and `SLEEP(seconds)` is worked out. `@@port` and `@@hostname` tell one
///   double from another.
/// - [`answer`](FakeMySql::answer) and [`answer_err`](FakeMySql::answer_err) say what any other
///   statement gives.
/// - Else a read is an error, 1064 with the statement, and a write is OK with one affected row.
///   `SET` keeps what it assigns for its connection; `SET GLOBAL` succeeds and does nothing.
///
/// All methods may be called at any time, in any order, from any thread, more than once. It runs on
/// the runtime in which it was started, and ends when it is dropped: its connections are closed and
/// its port is given back.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use evenhand_testkit::{ErrPacket, FakeMySql, Fault};
/// use mysql_async::prelude::*;
///
/// let fake = FakeMySql::start().await?;
/// fake.answer("SELECT name FROM users", ["name"], [["ann"], ["bob"]]);
///
/// let mut conn = mysql_async::Conn::from_url(fake.url()).await?;
/// let names: Vec<String> = conn.query("SELECT name FROM users").await?;
/// assert_eq!(names, ["ann", "bob"]);
///
/// fake.set_fault(Fault::ErrInQuery(ErrPacket::new(1205, "HY000", "Lock wait timeout exceeded")));
/// assert!(conn.query_drop("SELECT 1").await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FakeMySql {
    server: Arc<Server>,
    accepting: AbortHandle,
}

/// Settings of a [`FakeMySql`] that must be known before it starts.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct FakeMySqlBuilder {
    version: String,
    account: Option<Account>,
    deprecate_eof: bool,
    addr: Option<SocketAddr>,
}

impl FakeMySqlBuilder {
    /// The version to announce; default `8.0.36-evenhand-fake`. With `MariaDB` in it, drivers take
    /// the double for a MariaDB.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The only user who may log in, and the password; any other user gets 1045 28000. By default
    /// every user may, with any password.
    pub fn account(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.account = Some(Account {
            user: user.into(),
            password: password.into(),
        });
        self
    }

    /// Whether to announce CLIENT_DEPRECATE_EOF; default true. Without it lists of columns and rows
    /// end with EOF packets, as on servers before MySQL 5.7.
    pub fn deprecate_eof(mut self, announce: bool) -> Self {
        self.deprecate_eof = announce;
        self
    }

    /// Where it listens: an address of 127.0.0.0/8, and a port; 0 is a free one. By default at a free port of
    /// 127.0.0.1.
    pub fn addr(mut self, addr: SocketAddr) -> Self {
        self.addr = Some(addr);
        self
    }

    /// Starts the server, on a free port of 127.0.0.1 unless it was given another. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If no port can be had, or no file descriptor.
    pub async fn start(self) -> io::Result<FakeMySql> {
        let runtime = Handle::current();
        let port = self.addr.map_or_else(ReservedPort::any, ReservedPort::at)?;
        let answers = default_variables(port.addr().port(), &self.version);
        let mut capabilities = capability::ANNOUNCED;
        if self.deprecate_eof {
            capabilities |= capability::DEPRECATE_EOF;
        }
        let settings = Settings {
            version: self.version,
            account: self.account,
            capabilities,
        };
        let server = Arc::new(Server::new(settings, answers, port, runtime.clone()));
        server.open()?;
        let accepting = runtime.spawn(server.clone().accept(serve)).abort_handle();
        Ok(FakeMySql { server, accepting })
    }
}

impl FakeMySql {
    /// Starts a server with the default settings; see [`FakeMySqlBuilder::start`].
    ///
    /// # Errors
    /// If no port can be had, or no file descriptor.
    pub async fn start() -> io::Result<FakeMySql> {
        FakeMySql::builder().start().await
    }

    /// Settings to change before the start.
    pub fn builder() -> FakeMySqlBuilder {
        FakeMySqlBuilder {
            version: "8.0.36-evenhand-fake".to_owned(),
            account: None,
            deprecate_eof: true,
            addr: None,
        }
    }

    /// Where it listens. The port stays the same through [`kill`](FakeMySql::kill) and
    /// [`restart`](FakeMySql::restart), and stays reserved meanwhile.
    pub fn addr(&self) -> SocketAddr {
        self.server.port.addr()
    }

    /// The port of [`addr`](FakeMySql::addr).
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// `mysql://root@127.0.0.1:PORT/test`, or with the user and password of
    /// [`FakeMySqlBuilder::account`], which must not need escaping in a URL.
    pub fn url(&self) -> String {
        let login = match &self.server.settings.account {
            Some(Account { user, password }) if password.is_empty() => user.clone(),
            Some(Account { user, password }) => format!("{user}:{password}"),
            None => "root".to_owned(),
        };
        format!("mysql://{login}@{}/test", self.addr())
    }

    /// From now on `statement` gives these rows; a row shorter than the columns is filled up with
    /// NULL. The statement must be sent exactly so, but for blanks around it and a last semicolon;
    /// a prepared one with its `?`s.
    pub fn answer<Columns, Rows, Row>(&self, statement: &str, columns: Columns, rows: Rows)
    where
        Columns: IntoIterator<Item: Into<String>>,
        Rows: IntoIterator<Item = Row>,
        Row: IntoIterator<Item: Into<Value>>,
    {
        let columns = columns.into_iter().map(Into::into).collect();
        let rows = rows
            .into_iter()
            .map(|row| row.into_iter().map(Into::into).collect())
            .collect();
        let rows = Arc::new(ResultSet::new(columns, rows));
        self.server.answers.put(statement, Canned::Rows(rows));
    }

    /// From now on `statement` gives this error, and the connection stays open. The statement is
    /// matched as in [`answer`](FakeMySql::answer).
    pub fn answer_err(&self, statement: &str, error: ErrPacket) {
        self.server.answers.put(statement, Canned::Err(error));
    }

    /// Sets a system variable for all connections that have not set their own, such as `read_only`
    /// to 1. The name is given without `@@` and without a scope.
    pub fn set_variable(&self, name: &str, value: impl Into<Value>) {
        self.server.answers.set_variable(name, value.into());
    }

    /// Misbehaves in this way from now on, in place of any fault set before. Held connections are
    /// concerned as well where the [`Fault`] says so.
    pub fn set_fault(&self, fault: Fault) {
        self.change_fault(Some(fault));
    }

    /// Behaves well again. A killed server stays killed, and a frozen one frozen.
    pub fn clear_fault(&self) {
        self.change_fault(None);
    }

    fn change_fault(&self, fault: Option<Fault>) {
        // The port is reserved, so this needs a machine that is out of file descriptors.
        if let Err(error) = self.server.set_fault(fault) {
            eprintln!("FakeMySql cannot listen on {} again: {error}", self.addr());
        }
    }

    /// A delay before each reply, that to the login included, but not before the greeting; 0, the
    /// default, is none. It stays through a restart.
    pub fn set_delay(&self, per_reply: Duration) {
        self.server
            .control
            .send_modify(|control| control.delay = per_reply);
    }

    /// Dies as by SIGKILL: when this returns, new connections are refused and every held one has
    /// been cut (the client reads EOF or a reset). It stays so until
    /// [`restart`](FakeMySql::restart).
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Listens again on the same port, with no fault and not frozen. A server that is running is
    /// killed first: like any restart this one cuts its connections. Counters, answers, variables
    /// and the delay stay.
    ///
    /// # Errors
    /// If something else has come to listen on the port and stays there for two seconds.
    pub async fn restart(&self) -> io::Result<()> {
        self.server.restart().await
    }

    /// Cuts every held connection, and goes on listening: as `wait_timeout` or a `KILL` would.
    pub fn cut_connections(&self) {
        self.server.cut();
    }

    /// Stops as by SIGSTOP: connections are completed by the kernel but get no greeting, held ones
    /// get no reply.
    pub fn freeze(&self) {
        self.server
            .control
            .send_modify(|control| control.frozen = true);
    }

    /// Goes on as by SIGCONT: the late greetings and replies are sent.
    pub fn thaw(&self) {
        self.server
            .control
            .send_modify(|control| control.frozen = false);
    }

    /// How many connections are open now. One that its client has just closed is counted until the
    /// server notices.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// How many TCP connections were ever accepted. Those that came while the server was frozen are
    /// accepted when it is thawed.
    pub fn accepted(&self) -> u64 {
        self.server.accepted.load(Ordering::Relaxed)
    }

    /// How many logins ever succeeded, changes of user included.
    pub fn logins(&self) -> u64 {
        self.server.logins.load(Ordering::Relaxed)
    }

    /// How many logins were ever refused, by [`Fault::ErrAtLogin`] or for what the client sent,
    /// changes of user included.
    pub fn refused_logins(&self) -> u64 {
        self.server.refused_logins.load(Ordering::Relaxed)
    }

    /// How many queries and prepared executions were ever sent, those that failed or were never
    /// answered included, and the driver's own settings query after a login left out.
    pub fn queries(&self) -> u64 {
        self.server.queries.load(Ordering::Relaxed)
    }

    /// The last 10 000 statements that were executed, in order. Prepared ones stand with their
    /// `?`s. A statement whose reply was lost is here, one that a fault refused is not, nor is the
    /// driver's own settings query.
    pub fn statements(&self) -> Vec<String> {
        self.server.statements()
    }
}

impl Drop for FakeMySql {
    fn drop(&mut self) {
        self.server.kill();
        self.accepting.abort();
    }
}
