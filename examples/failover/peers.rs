//! The servers, and the acts on them.
//!
//! Embedded doubles need no installation. Real `mariadbd` processes show that the doubles behave like
//! servers. The script kills and freezes both kinds. The user's own servers are only read from.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenhand_config::{BalancedDatabase, Config};
use evenhand_mysql::{Pool, PoolOptions};
use evenhand_testkit::{FakeMySql, MariaDb, MariaDbError};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::Failure;
use crate::args::WhichPeers;
use crate::load::Ports;

/// The time of an embedded server for each reply, similar to that of a network.
const REPLY: Duration = Duration::from_millis(2);

/// Short limits, because the demo is short: a dead server is found within a second.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);
pub(crate) const TRY_TIMEOUT: Duration = Duration::from_millis(500);
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The pool, and the servers behind it if the demo started them.
pub(crate) struct Stage {
    pub(crate) pool: Pool,
    /// What kind of servers, for the heading.
    pub(crate) kind: String,
    pub(crate) names: Vec<String>,
    /// Empty for the user's own servers: two hosts may use the same port.
    pub(crate) ports: Ports,
    pub(crate) check_interval: Duration,
    servers: Vec<Server>,
}

/// A server that may be killed.
enum Server {
    Embedded(FakeMySql),
    Real(Arc<Mutex<MariaDb>>),
}

impl Stage {
    pub(crate) async fn set(which: &WhichPeers) -> Result<Self, Failure> {
        match which {
            WhichPeers::Embedded => {
                let mut servers = Vec::new();
                for _ in 0..3 {
                    let fake = FakeMySql::start().await?;
                    fake.set_delay(REPLY);
                    servers.push((fake.url(), fake.port(), Server::Embedded(fake)));
                }
                Self::ours("fake MySQL servers inside this process", servers)
            }
            WhichPeers::Real => {
                let started = spawn_blocking(|| MariaDb::start_many(3)).await?;
                let servers = started.map_err(explain)?.into_iter().map(|db| {
                    let (url, port) = (db.url(), db.port());
                    (url, port, Server::Real(Arc::new(Mutex::new(db))))
                });
                Self::ours("real mariadbd processes", servers)
            }
            WhichPeers::Config { file, database } => Self::theirs(file, database.as_deref()),
        }
    }

    fn ours(
        kind: &str,
        servers: impl IntoIterator<Item = (String, u16, Server)>,
    ) -> Result<Self, Failure> {
        let (mut peers, mut ports, mut kept) = (Vec::new(), Ports::new(), Vec::new());
        for (nth, (url, port, server)) in servers.into_iter().enumerate() {
            let name = format!("db{nth}");
            ports.insert(name.clone(), port);
            peers.push((name, url));
            kept.push(server);
        }
        Ok(Self {
            kind: format!("{} {kind}", peers.len()),
            names: peers.iter().map(|(name, _)| name.clone()).collect(),
            pool: options().open(peers.iter().map(|(name, url)| (&**name, &**url)))?,
            ports,
            check_interval: CHECK_INTERVAL,
            servers: kept,
        })
    }

    fn theirs(file: &Path, alias: Option<&str>) -> Result<Self, Failure> {
        let config = Config::load(file)?;
        let database =
            choose(&config, alias).map_err(|problem| format!("{}: {problem}", file.display()))?;
        Ok(Self {
            pool: options().open_config(database)?,
            kind: format!(
                "{} peers of `{}` in {}",
                database.peers.len(),
                database.alias,
                file.display()
            ),
            names: database.peers.iter().map(|p| p.alias.clone()).collect(),
            ports: Ports::new(),
            check_interval: database.check_interval(),
            servers: Vec::new(),
        })
    }

    /// The acts, each with its time after the start. Empty for the user's own servers.
    pub(crate) fn script(&self, length: Duration) -> Vec<(Duration, Act)> {
        if self.servers.is_empty() {
            return Vec::new();
        }
        // For the usual 12 s: at 3, 5 and 8 s.
        vec![
            (length * 3 / 12, Act::Kill(1)),
            (length * 5 / 12, Act::Freeze(2)),
            (length * 8 / 12, Act::Thaw(2)),
            (length * 8 / 12, Act::Restart(1)),
        ]
    }

    /// Plays the script. It announces each act just before it, so that the events that the act causes
    /// come later.
    pub(crate) async fn play(
        &self,
        script: &[(Duration, Act)],
        start: Instant,
        doing: UnboundedSender<Act>,
    ) -> Result<(), Failure> {
        for &(after, act) in script {
            sleep_until(start + after).await;
            // The receiver is gone only if the demo has already failed.
            let _ = doing.send(act);
            if let Some(server) = self.servers.get(act.index()) {
                server
                    .suffer(act)
                    .await
                    .map_err(|e| format!("{act}: {e}"))?;
            }
        }
        Ok(())
    }
}

fn options() -> PoolOptions {
    PoolOptions::new()
        .connect_timeout(ATTEMPT_TIMEOUT)
        .try_timeout(TRY_TIMEOUT)
        .max_recheck_interval(CHECK_INTERVAL)
}

/// The balanced database to use: the named one, else `default`, else the only one.
fn choose<'a>(config: &'a Config, alias: Option<&str>) -> Result<&'a BalancedDatabase, String> {
    let all: Vec<&BalancedDatabase> = config.balanced_databases().collect();
    let known = || {
        let aliases: Vec<&str> = all.iter().map(|database| &*database.alias).collect();
        aliases.join(", ")
    };
    if all.is_empty() {
        return Err("it has no balanced database: none lists `peers`".to_owned());
    }
    match (alias, &*all) {
        (Some(alias), _) => config
            .balanced(alias)
            .ok_or_else(|| format!("no balanced database `{alias}`; known: {}", known())),
        (None, [only]) => Ok(only),
        (None, _) => config
            .balanced("default")
            .ok_or_else(|| format!("which one? --database takes one of: {}", known())),
    }
}

/// Says what to do if MariaDB is not installed.
fn explain(error: MariaDbError) -> Failure {
    match error {
        MariaDbError::Missing { program } => format!(
            "--real needs MariaDB, and {program} is not installed: on Debian or Ubuntu, \
             apt-get install mariadb-server; without --real nothing is needed"
        )
        .into(),
        error => error.into(),
    }
}

/// An act on the server with this index.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Kill(usize),
    Freeze(usize),
    Restart(usize),
    Thaw(usize),
}

impl Act {
    fn index(self) -> usize {
        match self {
            Self::Kill(nth) | Self::Freeze(nth) | Self::Restart(nth) | Self::Thaw(nth) => nth,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Kill(_) => "killed",
            Self::Freeze(_) => "frozen",
            Self::Restart(_) => "restarted",
            Self::Thaw(_) => "thawed",
        }
    }

    /// In two words, for the chart.
    pub(crate) fn label(self) -> String {
        format!("db{} {}", self.index(), self.done())
    }

    /// What clients see.
    pub(crate) fn effect(self) -> &'static str {
        match self {
            Self::Kill(_) => "its connections are cut, new ones refused",
            Self::Freeze(_) => "it accepts connections and says nothing",
            Self::Restart(_) | Self::Thaw(_) => "it serves again",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "db{} is {}", self.index(), self.done())
    }
}

impl Server {
    async fn suffer(&self, act: Act) -> Result<(), Failure> {
        match self {
            Self::Embedded(fake) => match act {
                Act::Kill(_) => fake.kill(),
                Act::Freeze(_) => fake.freeze(),
                Act::Restart(_) => fake.restart().await?,
                Act::Thaw(_) => fake.thaw(),
            },
            Self::Real(db) => {
                let db = db.clone();
                // The calls block.
                spawn_blocking(move || {
                    let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
                    match act {
                        Act::Kill(_) => db.kill(),
                        Act::Freeze(_) => db.freeze(),
                        Act::Restart(_) => db.restart(),
                        Act::Thaw(_) => db.thaw(),
                    }
                })
                .await??;
            }
        }
        Ok(())
    }
}
