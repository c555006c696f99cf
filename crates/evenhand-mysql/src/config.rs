//! Pools over the peers of a config file's databases.

use std::sync::Arc;

use evenhand_config::{Address, BalancedDatabase};
use mysql_async::{Opts, OptsBuilder};

use crate::error::Error;
use crate::options::PoolOptions;
use crate::pool::Pool;

impl Pool {
    /// A pool over the peers of a balanced database of a config file, with its check interval and
    /// the defaults for the rest.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_config(database: &BalancedDatabase) -> Result<Self, Error> {
        Self::from_config_with(database, PoolOptions::default())
    }

    /// As [`from_config`](Self::from_config), with `options`, whose check interval gives way to
    /// the file's.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_config_with(
        database: &BalancedDatabase,
        options: PoolOptions,
    ) -> Result<Self, Error> {
        let peers = database
            .peers
            .iter()
            .map(|peer| {
                let name: Arc<str> = peer.alias.as_str().into();
                match opts(&peer.address) {
                    Ok(opts) => Ok((name, opts)),
                    Err(source) => Err(Error::Options {
                        peer: name,
                        source: Box::new(source),
                    }),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::with_options(peers, options.check_interval(database.check_interval))
    }
}

fn opts(address: &Address) -> Result<Opts, mysql_async::UrlError> {
    match address {
        Address::Url(url) => Opts::from_url(url.expose()),
        Address::Parts {
            host,
            port,
            user,
            password,
            name,
            ..
        } => Ok(OptsBuilder::default()
            .ip_or_hostname(host.as_str())
            .tcp_port(*port)
            .user(user.as_deref())
            .pass(password.as_ref().map(|password| password.expose()))
            .db_name(name.as_deref())
            .into()),
        _ => Err(mysql_async::UrlError::Invalid),
    }
}
