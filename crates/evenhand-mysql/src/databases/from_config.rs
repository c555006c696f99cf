//! Pools of a config file's databases: its keys, as options of the pool and of the driver.

use evenhand_config::{Address, BalancedDatabase, Peer, Probe as Asked, Settings, Tls};
use mysql_async::{Opts, OptsBuilder, PoolConstraints, SslOpts};

use crate::error::Error;
use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::probe::Probe;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Pool {
    /// A pool over the peers of a balanced database of a config file. What the file does not say
    /// has the default of [`PoolOptions`]. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Error::Options`] also for TLS where no TLS is compiled in.
    pub fn from_config(database: &BalancedDatabase) -> Result<Self, Error> {
        Self::from_config_with(database, PoolOptions::default())
    }

    /// As [`from_config`](Self::from_config), with `options` for what the file does not say.
    ///
    /// # Errors
    ///
    /// As [`from_config`](Self::from_config).
    pub fn from_config_with(
        database: &BalancedDatabase,
        options: PoolOptions,
    ) -> Result<Self, Error> {
        let options = options.configured(&database.settings);
        let pool = Self::with_options(named_opts(database)?, options)?;
        pool.set_weights(database)?;
        Ok(pool)
    }

    /// Makes the peers those of the database. What stays keeps its state.
    pub(crate) fn adopt_peers(&self, database: &BalancedDatabase) -> Result<(), Error> {
        self.peers().replace_all(named_opts(database)?)?;
        self.set_weights(database)
    }

    fn set_weights(&self, database: &BalancedDatabase) -> Result<(), Error> {
        let peers = self.peers();
        database
            .peers
            .iter()
            .try_for_each(|peer| peers.set_weight(&peer.alias, peer.weight.unwrap_or(1)))
    }
}

impl PoolOptions {
    /// These, but for what the settings say.
    pub(crate) fn configured(self, settings: &Settings) -> Self {
        /// Each setting has the name of its setter.
        macro_rules! set {
            ($options:expr, $($name:ident)*) => {{
                let options = $options;
                $(let options = match settings.$name {
                    Some(value) => options.$name(value),
                    None => options,
                };)*
                options
            }};
        }
        let options = set!(self,
            pick first_recheck check_interval keep all_down attempt_timeout checkout_timeout
            hedge_after try_timeout work_timeout transaction_attempts max_connections max_lifetime
            idle_timeout writable probe_timeout synced check_up_every fall rise end_on_lost_peer);
        match &settings.probe {
            Some(asked) => options.probe(probe(asked)),
            None => options,
        }
    }
}

fn probe(asked: &Asked) -> Probe {
    match asked {
        Asked::Ping => Probe::Ping,
        Asked::Ready => Probe::Ready,
        Asked::Writable => Probe::Writable,
        Asked::Query { sql, expect } => Probe::query(sql, expect),
    }
}

fn named_opts(database: &BalancedDatabase) -> Result<Vec<(&str, Opts)>, Error> {
    let peers = database.peers.iter();
    peers
        .map(|peer| Ok((peer.alias.as_str(), peer_opts(peer)?)))
        .collect()
}

/// How the driver reaches a peer.
pub(crate) fn peer_opts(peer: &Peer) -> Result<Opts, Error> {
    let wrong = |source| Error::Options {
        peer: peer.alias.as_str().into(),
        source,
    };
    let mut opts = address(&peer.address).map_err(|error| wrong(error.into()))?;
    let mut pool_opts = Opts::from(opts.clone()).pool_opts().clone();
    let (min, max) = (pool_opts.constraints().min(), pool_opts.constraints().max());
    let kept = &peer.connections;
    let max = kept.pool_max.unwrap_or(max);
    // What the driver keeps by default may be more than there may be.
    let min = kept.pool_min.unwrap_or(min.min(max));
    match PoolConstraints::new(min, max) {
        Some(constraints) => pool_opts = pool_opts.with_constraints(constraints),
        None => {
            let message = format!("pool_min ({min}) is more than pool_max ({max})");
            return Err(wrong(message.into()));
        }
    }
    if let Some(reset) = kept.reset_connection {
        pool_opts = pool_opts.with_reset_connection(reset);
    }
    opts = opts.pool_opts(pool_opts);
    if let Some(tls) = &peer.tls {
        opts = opts.ssl_opts(ssl_opts(tls).map_err(wrong)?);
    }
    Ok(opts.into())
}

fn address(address: &Address) -> Result<OptsBuilder, mysql_async::UrlError> {
    Ok(match address {
        Address::Url(url) => OptsBuilder::from_opts(Opts::from_url(url.expose())?),
        Address::Parts {
            host,
            port,
            user,
            password,
            name,
            ..
        } => OptsBuilder::default()
            .ip_or_hostname(host.as_str())
            .tcp_port(*port)
            .user(user.as_deref())
            .pass(password.as_ref().map(|password| password.expose()))
            .db_name(name.as_deref()),
    })
}

#[cfg(not(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
)))]
fn ssl_opts(_: &Tls) -> Result<SslOpts, AnyError> {
    Err("no TLS is compiled in: turn on a TLS feature of evenhand-mysql".into())
}

#[cfg(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
))]
fn ssl_opts(tls: &Tls) -> Result<SslOpts, AnyError> {
    let mut opts = SslOpts::default()
        .with_danger_tls_hostname_override(tls.host_name.clone())
        .with_client_identity(tls.identity.as_ref().map(identity).transpose()?);
    if let Some(ca) = &tls.ca {
        opts = opts
            .with_root_certs(vec![ca.clone().into()])
            .with_disable_built_in_roots(true);
    }
    Ok(opts)
}

#[cfg(any(feature = "rustls-ring", feature = "rustls-aws-lc"))]
fn identity(
    (chain, key): &(std::path::PathBuf, std::path::PathBuf),
) -> Result<mysql_async::ClientIdentity, AnyError> {
    let (chain, key) = (chain.clone().into(), key.clone().into());
    Ok(mysql_async::ClientIdentity::new(chain, key))
}

// The driver takes one or the other.
#[cfg(feature = "native-tls")]
fn identity(
    _: &(std::path::PathBuf, std::path::PathBuf),
) -> Result<mysql_async::ClientIdentity, AnyError> {
    Err("native-tls takes no certificate and key apart: use a rustls feature".into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evenhand_config::{AllDown, Config, Keep, Pick};

    use super::*;

    const PEERS: &str = "[databases.a]\nurl = 'mysql://u:p@h/d?pool_min=2'\n\
                         [databases.b]\nhost = 'b'\n";

    fn pool(text: &str) -> Result<Pool, Error> {
        let text = format!("{PEERS}{text}");
        let config = Config::parse(&text, "f").unwrap_or_else(|error| panic!("{error}"));
        Pool::from_config(config.balanced("d").unwrap())
    }

    /// Each setting differs from its default; one that was forgotten here or there would show.
    #[test]
    fn every_setting_of_the_file_is_the_pools() {
        let text = r#"
            [databases.d]
            peers = ["a", "b"]
            pick = "least_in_flight"
            first_recheck = "250ms"
            check_interval = "7s"
            keep = "50%"
            all_down = "last_resort"
            attempt_timeout = "1s"
            checkout_timeout = "2s"
            hedge_after = "100ms"
            try_timeout = "3s"
            work_timeout = "4s"
            transaction_attempts = 2
            max_connections = 9
            max_lifetime = "none"
            idle_timeout = "8s"
            writable = true
            probe = { query = "SELECT 1", expect = "1" }
            probe_timeout = "500ms"
            synced = true
            check_up_every = "none"
            fall = 4
            rise = 5
            end_on_lost_peer = false
        "#;
        let keys: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.trim().split_once(" = ")?.0))
            .collect();
        let settings = evenhand_config::keys().iter().filter(|key| {
            matches!(
                key.scope,
                evenhand_config::Scope::Balanced | evenhand_config::Scope::Setting
            )
        });
        for key in settings {
            assert!(keys.contains(&key.name), "{} is not tested", key.name);
        }
        let seconds = Duration::from_secs;
        let expected = PoolOptions::default()
            .pick(Pick::LeastInFlight)
            .first_recheck(Duration::from_millis(250))
            .check_interval(seconds(7))
            .keep(Keep::Percent(50))
            .all_down(AllDown::LastResort)
            .attempt_timeout(seconds(1))
            .checkout_timeout(seconds(2))
            .hedge_after(Duration::from_millis(100))
            .try_timeout(seconds(3))
            .work_timeout(seconds(4))
            .transaction_attempts(2)
            .max_connections(Some(9))
            .max_lifetime(None)
            .idle_timeout(Some(seconds(8)))
            .writable(true)
            .probe(Probe::query("SELECT 1", "1"))
            .probe_timeout(Duration::from_millis(500))
            .synced(true)
            .check_up_every(None)
            .fall(4)
            .rise(5)
            .end_on_lost_peer(false);
        assert_eq!(*pool(text).unwrap().options(), expected);
    }

    #[test]
    fn what_the_file_does_not_say_is_as_ever() {
        let pool = pool("[databases.d]\npeers = ['a', 'b']").unwrap();
        assert_eq!(*pool.options(), PoolOptions::default());
    }

    /// The defaults that the file's reference tells are those of the code.
    #[test]
    fn the_reference_tells_the_pools_own_defaults() {
        let defaults = PoolOptions::default();
        for key in evenhand_config::keys() {
            if key.scope != evenhand_config::Scope::Setting {
                continue;
            }
            // In the notation of the file, or in words that only a person can compare.
            let value = match key.default.parse::<u32>() {
                Ok(number) => number.to_string(),
                Err(_) if ["true", "false"].contains(&key.default) => key.default.to_owned(),
                Err(_) if key.default.contains(' ') => continue,
                Err(_) => format!("{:?}", key.default),
            };
            let text = format!("[databases.d]\npeers = ['a', 'b']\n{} = {value}", key.name);
            assert_eq!(*pool(&text).unwrap().options(), defaults, "{text}");
        }
    }

    #[test]
    fn a_peers_own_keys_are_the_drivers() {
        let text = "[databases.c]\nhost = 'c'\nport = 3307\nuser = 'u'\npassword = 'p'\n\
                    name = 'n'\npool_min = 3\npool_max = 7\nreset_connection = false\n";
        let config = Config::parse(text, "f").unwrap();
        let opts = peer_opts(config.peer("c").unwrap()).unwrap();
        assert_eq!((opts.ip_or_hostname(), opts.tcp_port()), ("c", 3307));
        assert_eq!((opts.user(), opts.pass()), (Some("u"), Some("p")));
        assert_eq!(opts.db_name(), Some("n"));
        let pool_opts = opts.pool_opts();
        let constraints = pool_opts.constraints();
        assert_eq!((constraints.min(), constraints.max()), (3, 7));
        assert!(!pool_opts.reset_connection());
    }

    #[test]
    fn keys_come_before_the_parameters_of_the_url_and_leave_the_rest() {
        let text = format!(
            "{PEERS}pool_max = 5\n[databases.c]\nurl = 'mysql://h/d?pool_min=2'\npool_max = 1"
        );
        let config = Config::parse(&text, "f").unwrap();
        let limits = |alias: &str| {
            let opts = peer_opts(config.peer(alias).unwrap()).unwrap();
            let constraints = opts.pool_opts().constraints();
            (constraints.min(), constraints.max())
        };
        assert_eq!(limits("a"), (2, 100));
        // The driver would keep ten.
        assert_eq!(limits("b"), (5, 5));
        assert_eq!(limits("c"), (1, 1));
    }

    #[test]
    fn weights_are_those_of_the_peers() {
        let text = format!("{PEERS}weight = 3\n[databases.d]\npeers = ['a', 'b']");
        let config = Config::parse(&text, "f").unwrap();
        let pool = Pool::from_config(config.balanced("d").unwrap()).unwrap();
        let weights: Vec<u32> = pool.statuses().iter().map(|status| status.weight).collect();
        assert_eq!(weights, [1, 3]);
    }

    #[cfg(not(any(
        feature = "rustls-ring",
        feature = "rustls-aws-lc",
        feature = "native-tls"
    )))]
    #[test]
    fn tls_is_refused_where_none_is_compiled_in() {
        let text = "[databases.c]\nhost = 'c'\ntls = true\n[databases.d]\npeers = ['c']";
        let error = pool(text).unwrap_err();
        assert!(
            error.to_string().contains("no TLS is compiled in"),
            "{error}"
        );
    }
}
