//! The databases of a config file, each with its pool.
//!
//! The top of the crate: knows the pool and `evenhand_config`. Nothing imports from here.

pub(crate) mod router;

mod from_config;

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

/// The balanced databases of a config file, by alias. Each is a [`Pool`]. Pools share nothing: if two
/// databases list the same peer, each has separate connections to it, and finds out for itself whether
/// it is up. Clones of `Databases` share the pools.
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
    /// Used for what the file does not set.
    options: PoolOptions,
}

type Open = BTreeMap<String, Database>;

struct Database {
    /// What its pool was made from.
    plan: BalancedDatabase,
    pool: Pool,
}

/// What [`Databases::reload`] did to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Opened,
    /// It was removed.
    Closed,
    /// Its settings changed, or what finds its peers by a name, so it has a new pool.
    Reopened,
    /// Its peers or their weights changed.
    Peers,
}

impl PoolOptions {
    /// Opens a pool for each balanced database of `config`. These options apply to what the file does
    /// not set. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// Those of [`open_config`](Self::open_config), such as a URL with parameters that `mysql_async` does
    /// not accept. Everything else was checked when the file was read.
    pub fn open_databases(self, config: &Config) -> Result<Databases, Error> {
        let databases = Databases {
            open: Arc::default(),
            options: self,
        };
        databases.reload(config)?;
        Ok(databases)
    }
}

/// Whether peers of a database are found by a name.
fn finds(plan: &BalancedDatabase) -> bool {
    plan.peers.iter().any(|peer| peer.hosts.is_some())
}

impl Databases {
    /// Opens a pool for each balanced database of `config`, with the default options for what the file
    /// does not set: as [`PoolOptions::open_databases`]. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// As [`PoolOptions::open_databases`].
    pub fn open(config: &Config) -> Result<Self, Error> {
        PoolOptions::new().open_databases(config)
    }

    /// The current pool of this alias. A [`reload`](Self::reload) that changes its settings replaces
    /// it: get it where it is used, rather than keep it.
    pub fn get(&self, alias: &str) -> Option<Pool> {
        self.read().get(alias).map(|database| database.pool.clone())
    }

    /// Every alias with its current pool, sorted by alias.
    pub fn iter(&self) -> impl Iterator<Item = (String, Pool)> + use<> {
        let open = self.read();
        let pools = open
            .iter()
            .map(|(alias, database)| (alias.clone(), database.pool.clone()));
        pools.collect::<Vec<_>>().into_iter()
    }

    /// Applies a changed `config`, and returns what changed. If a database is invalid, nothing changes.
    ///
    /// No connection in use is dropped, and no checkout fails because of a reload:
    ///
    /// - A peer that is the same keeps its state and connections. Others are added and removed at once;
    ///   connections to removed ones are closed when they are returned.
    /// - A database with changed settings gets a new pool. Holders of the old one can continue to use it;
    ///   it ends with its last clone. Until then both have connections.
    /// - The pool of a database that was removed ends in the same way.
    ///
    /// ```no_run
    /// # use evenhand_mysql::{Databases, evenhand_config::Config};
    /// # fn on_hangup(databases: &Databases) {
    /// // Reads the file again, and the files that it takes passwords from.
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
        // One reload at a time. A concurrent `get` waits, but nothing here blocks.
        let mut open = self.write();
        let mut changes = BTreeMap::new();
        // First everything that can fail: new pools, and the peers of those that stay.
        let mut made = Vec::new();
        for plan in config.balanced_databases() {
            let change = match open.get(&plan.alias) {
                None => Change::Opened,
                Some(old) if old.plan == *plan => continue,
                Some(old)
                    if old.plan.settings == plan.settings && !finds(&old.plan) && !finds(plan) =>
                {
                    Change::Peers
                }
                Some(_) => Change::Reopened,
            };
            made.push((plan, self.options.clone().open_config(plan)?));
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
                    if let Err(error) = old.pool.adopt_peers(plan) {
                        open.insert(plan.alias.clone(), old);
                        return Err(error);
                    }
                    old.pool
                }
                _ => pool,
            };
            let plan = plan.clone();
            open.insert(plan.alias.clone(), Database { plan, pool });
        }
        Ok(changes)
    }

    /// Asks every peer of every database at once, each for at most `limit`, what it is and whether it is
    /// online: see [`Pool::check`]. For use before a migration or the start of a service that needs all
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
    /// # Cancel safety
    ///
    /// Dropping the future closes the connections.
    pub async fn check(&self, limit: Duration) -> Report {
        let mut checks = JoinSet::new();
        for (alias, pool) in self.iter() {
            checks.spawn(async move { (alias, pool.check(limit).await) });
        }
        let mut databases = checks.join_all().await;
        databases.sort_by(|(one, _), (other, _)| one.cmp(other));
        Report { databases }
    }

    /// Closes all pools at the same time: see [`Pool::disconnect`]. From now on [`get`](Self::get) finds
    /// none, until a [`reload`](Self::reload) opens them again.
    ///
    /// # Errors
    ///
    /// The first error of [`Pool::disconnect`], in the order of the aliases; the others are closed
    /// nonetheless.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, those that are not closed yet end with their last clones.
    pub async fn close(&self) -> Result<(), Error> {
        let open = std::mem::take(&mut *self.write());
        let mut closing = JoinSet::new();
        for (alias, database) in open {
            closing.spawn(async move { (alias, database.pool.close().await) });
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
