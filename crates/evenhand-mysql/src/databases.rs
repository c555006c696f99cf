//! Several balanced databases by alias.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use evenhand_config::Config;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::report::Report;

/// The balanced databases of a config file, each a [`Pool`] of its own: own peers, own interval,
/// own state. A peer that stands in two of them is two peers: what one pool learns of it the other
/// does not know.
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
    pools: BTreeMap<String, Pool>,
}

impl Databases {
    /// A pool for each balanced database of `config`. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a URL whose parameters `mysql_async` does not accept; the rest was
    /// checked when the file was read.
    pub fn open(config: &Config) -> Result<Self, Error> {
        Self::open_with(config, &PoolOptions::default())
    }

    /// As [`open`](Self::open), with `options` for every pool; their check interval gives way to
    /// the file's.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(config: &Config, options: &PoolOptions) -> Result<Self, Error> {
        let pools = config
            .balanced_databases()
            .map(|database| {
                let pool = Pool::from_config_with(database, options.clone())?;
                Ok((database.alias.clone(), pool))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { pools })
    }

    /// The pool of this alias.
    pub fn get(&self, alias: &str) -> Option<&Pool> {
        self.pools.get(alias)
    }

    /// Every alias with its pool, sorted by alias.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pool)> {
        self.pools
            .iter()
            .map(|(alias, pool)| (alias.as_str(), pool))
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
        for (nth, (alias, pool)) in self.pools.iter().enumerate() {
            let (alias, pool) = (alias.clone(), pool.clone());
            checks.spawn(async move { (nth, alias, pool.check(limit).await) });
        }
        let mut checked = checks.join_all().await;
        checked.sort_by_key(|(nth, _, _)| *nth);
        let databases = checked.into_iter();
        Report {
            databases: databases.map(|(_, alias, peers)| (alias, peers)).collect(),
        }
    }

    /// Disconnects every pool, one after the other.
    ///
    /// # Errors
    ///
    /// The first error of [`Pool::disconnect`]; the others are disconnected all the same.
    pub async fn disconnect(self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for pool in self.pools.into_values() {
            outcome = outcome.and(pool.disconnect().await);
        }
        outcome
    }
}

impl fmt::Debug for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.pools).finish()
    }
}
