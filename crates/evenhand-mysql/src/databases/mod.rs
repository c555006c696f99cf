//! Several balanced databases by alias.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use evenhand_config::{BalancedDatabase, Config};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::report::Report;

/// The balanced databases of a config file, each a [`Pool`] of its own: own peers, own settings,
/// own state. A peer that stands in two of them is two peers: what one pool learns of it the other
/// does not know. Clones share them.
///
/// ```no_run
/// use evenhand_config::Config;
/// use evenhand_mysql::Databases;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let databases = Databases::open(&Config::load("evenhand.toml")?)?;
/// let pool = databases.get("default").ok_or("no database `default`")?;
/// let conn = pool.get_conn().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Databases {
    open: Arc<RwLock<Open>>,
    /// For what the file does not say.
    options: PoolOptions,
}

type Open = BTreeMap<String, Database>;

struct Database {
    /// What its pool was made of.
    plan: BalancedDatabase,
    pool: Pool,
}

/// What a [reload](Databases::reload) did to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Opened,
    /// It is no longer there.
    Closed,
    /// Its settings are others, so that it has a new pool.
    Reopened,
    /// Some of its peers are others, or weigh more or less.
    Peers,
}

impl Databases {
    /// A pool for each balanced database of `config`. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// Those of [`Pool::from_config`], such as a URL whose parameters `mysql_async` does not accept;
    /// the rest was checked when the file was read.
    pub fn open(config: &Config) -> Result<Self, Error> {
        Self::open_with(config, PoolOptions::default())
    }

    /// As [`open`](Self::open), with `options` for what the file does not say.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(config: &Config, options: PoolOptions) -> Result<Self, Error> {
        let databases = Self {
            open: Arc::default(),
            options,
        };
        databases.reload(config)?;
        Ok(databases)
    }

    /// The pool of this alias, as it is now. After a [`reload`](Self::reload) that changed its
    /// settings there is another one: get it where it is used, rather than keep it.
    pub fn get(&self, alias: &str) -> Option<Pool> {
        self.read().get(alias).map(|database| database.pool.clone())
    }

    /// Every alias with its pool, as they are now, sorted by alias.
    pub fn iter(&self) -> impl Iterator<Item = (String, Pool)> + use<> {
        let open = self.read();
        let pools = open
            .iter()
            .map(|(alias, database)| (alias.clone(), database.pool.clone()));
        pools.collect::<Vec<_>>().into_iter()
    }

    /// Makes the databases what `config` says, and tells which have changed. Where one is not valid,
    /// nothing is changed.
    ///
    /// No connection in use is dropped, and nobody who asks for one meanwhile is turned away:
    ///
    /// - A peer that is the same stays as it is, with its state and its connections. Others are added
    ///   and removed at once; connections to those that go are closed when they are returned.
    /// - A database with other settings gets a new pool. Who holds the old one can go on with it; it
    ///   ends with its last clone. For that long both have connections.
    /// - So does a database that is no longer there.
    ///
    /// ```no_run
    /// # use evenhand_mysql::{Databases, evenhand_config::Config};
    /// # fn on_hangup(databases: &Databases) {
    /// // Read it anew: passwords, too, which may be in files of their own.
    /// let reloaded = Config::load("evenhand.toml")
    ///     .map_err(|error| error.to_string())
    ///     .and_then(|config| databases.reload(&config).map_err(|error| error.to_string()));
    /// match reloaded {
    ///     Ok(changes) => println!("{changes:?}"),
    ///     Err(error) => eprintln!("the old configuration stays: {error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn reload(&self, config: &Config) -> Result<BTreeMap<String, Change>, Error> {
        // One at a time; and who asks for a pool meanwhile waits for as long as nothing is waited for.
        let mut open = self.write();
        let mut changes = BTreeMap::new();
        // First all that can fail: the pools that are new, and the peers of those that stay.
        let mut made = Vec::new();
        for plan in config.balanced_databases() {
            let change = match open.get(&plan.alias) {
                None => Change::Opened,
                Some(old) if old.plan == *plan => continue,
                Some(old) if old.plan.settings == plan.settings => Change::Peers,
                Some(_) => Change::Reopened,
            };
            made.push((plan, Pool::from_config_with(plan, self.options.clone())?));
            changes.insert(plan.alias.clone(), change);
        }
        open.retain(|alias, _| {
            let stays = config.balanced(alias).is_some();
            if !stays {
                changes.insert(alias.clone(), Change::Closed);
            }
            stays
        });
        for (plan, pool) in made {
            let old = open.remove(&plan.alias);
            let pool = match (old, changes.get(&plan.alias)) {
                (Some(old), Some(Change::Peers)) => {
                    old.pool.adopt_peers(plan)?;
                    old.pool
                }
                _ => pool,
            };
            let plan = plan.clone();
            open.insert(plan.alias.clone(), Database { plan, pool });
        }
        Ok(changes)
    }

    /// Asks every peer of every database at once, and for at most `limit`, what it is and whether it
    /// is online: see [`Pool::check`]. For before a migration or the start of a service, which need all
    /// of them.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use evenhand_mysql::{Databases, evenhand_config::Config};
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let databases = Databases::open(&Config::load("evenhand.toml")?)?;
    /// let report = databases.check(Duration::from_secs(5)).await;
    /// println!("{report}");
    /// if !report.all_online() {
    ///     return Err("not all peers are online".into());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// Cancel-safe.
    pub async fn check(&self, limit: Duration) -> Report {
        let mut checks = JoinSet::new();
        for (alias, pool) in self.iter() {
            checks.spawn(async move { (alias, pool.check(limit).await) });
        }
        let mut databases = checks.join_all().await;
        databases.sort_by(|(one, _), (other, _)| one.cmp(other));
        Report { databases }
    }

    /// Closes every database, side by side: see [`Pool::disconnect`]. There is none from now on.
    ///
    /// # Errors
    ///
    /// The first error of [`Pool::disconnect`], in the order of the aliases; the others are closed
    /// all the same.
    pub async fn close(&self) -> Result<(), Error> {
        let open = std::mem::take(&mut *self.write());
        let mut closing = JoinSet::new();
        for (alias, database) in open {
            closing.spawn(async move { (alias, database.pool.disconnect().await) });
        }
        let mut closed = closing.join_all().await;
        closed.sort_by(|(one, _), (other, _)| one.cmp(other));
        closed.into_iter().try_for_each(|(_, outcome)| outcome)
    }

    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
