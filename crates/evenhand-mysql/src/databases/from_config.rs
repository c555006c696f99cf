//! Opens pools for a config file's databases: its keys, as options of the pool and of the driver.

use evenhand_config::{Address, BalancedDatabase, Peer, Settings, Tls};
use mysql_async::{Opts, OptsBuilder, PoolConstraints, SslOpts};

use crate::error::Error;
use crate::options::PoolOptions;
use crate::options::health::{DEFAULT_HEALTH_CHECK_INTERVAL, HealthCheck};
use crate::pool::Pool;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl PoolOptions {
    /// Opens a pool over the peers of a balanced database of a config file. Its [name](Self::name) is the
    /// database's alias. These options apply to what else the file does not set. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`Error::Options`] also for TLS if no TLS feature is on.
    pub fn open_config(self, database: &BalancedDatabase) -> Result<Pool, Error> {
        let options = self
            .name(database.alias.as_str())
            .configured(&database.settings);
        let pool = options.build(named_opts(database)?)?;
        pool.set_weights(database)?;
        Ok(pool)
    }

    /// These options, overridden by the settings.
    fn configured(self, settings: &Settings) -> Self {
        /// Sets the settings that are given. A setter has the name of its setting, or the name after
        /// the arrow.
        macro_rules! set {
            (@call $options:ident $value:ident $name:ident) => { $options.$name($value) };
            (@call $options:ident $value:ident $name:ident $setter:ident) => { $options.$setter($value) };
            ($options:expr, $($name:ident $(=> $setter:ident)?,)*) => {{
                let options = $options;
                $(let options = match settings.$name.clone() {
                    Some(value) => set!(@call options value $name $($setter)?),
                    None => options,
                };)*
                options
            }};
        }
        let health_check = self.get_health_check();
        let health_check = set!(health_check, probe, probe_timeout => timeout, synced, rise,
            silence, lost_after,);
        let options = set!(self,
            pick, first_recheck, check_interval => max_recheck_interval, min_up, all_down,
            max_attempts, max_unknown, max_refusals,
            connect_timeout, checkout_timeout, hedge_after, try_timeout, work_timeout,
            transaction_attempts, max_connections, max_lifetime, idle_timeout, writable,
            end_on_lost_peer,);
        options.health_check(active_checks(health_check, settings))
    }
}

/// The active checks are one option, and two keys.
fn active_checks(check: HealthCheck, settings: &Settings) -> HealthCheck {
    let active = check.get_active();
    let (interval, fall) =
        active.unwrap_or((DEFAULT_HEALTH_CHECK_INTERVAL, evenhand::DEFAULT_FALL));
    let fall = settings.fall.unwrap_or(fall);
    match settings.health_check_interval {
        Some(Some(interval)) => check.active(interval, fall),
        Some(None) => check.passive(),
        None if active.is_some() => check.active(interval, fall),
        None => check,
    }
}

impl Pool {
    /// Replaces the peers by those of the database. Peers that stay keep their state.
    pub(super) fn adopt_peers(&self, database: &BalancedDatabase) -> Result<(), Error> {
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

fn named_opts(database: &BalancedDatabase) -> Result<Vec<(&str, Opts)>, Error> {
    let peers = database.peers.iter();
    peers
        .map(|peer| Ok((peer.alias.as_str(), peer_opts(peer)?)))
        .collect()
}

/// A peer's connection options for the driver.
fn peer_opts(peer: &Peer) -> Result<Opts, Error> {
    let invalid = |cause| Error::Options {
        peer: peer.alias.as_str().into(),
        cause,
    };
    let mut opts = address(&peer.address).map_err(|error| invalid(error.into()))?;
    let mut pool_opts = Opts::from(opts.clone()).pool_opts().clone();
    let (min, max) = (pool_opts.constraints().min(), pool_opts.constraints().max());
    let connections = &peer.connections;
    let max = connections.pool_max.unwrap_or(max);
    // The driver's default minimum may exceed the maximum.
    let min = connections.pool_min.unwrap_or(min.min(max));
    match PoolConstraints::new(min, max) {
        Some(constraints) => pool_opts = pool_opts.with_constraints(constraints),
        None => {
            let message = format!("pool_min ({min}) exceeds pool_max ({max})");
            return Err(invalid(message.into()));
        }
    }
    if let Some(reset) = connections.reset_connection {
        pool_opts = pool_opts.with_reset_connection(reset);
    }
    opts = opts.pool_opts(pool_opts);
    // The driver begins with the last.
    let reversed = |list: &[String]| list.iter().rev().cloned().collect::<Vec<_>>();
    if let Some(init) = &connections.init {
        opts = opts.init(reversed(init));
    }
    if let Some(setup) = &connections.setup {
        opts = opts.setup(reversed(setup));
    }
    if let Some(tls) = &peer.tls {
        opts = opts.ssl_opts(ssl_opts(tls).map_err(invalid)?);
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
    Err("no TLS is compiled in: enable a TLS feature of evenhand-mysql".into())
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

// The driver supports only one of the two.
#[cfg(feature = "native-tls")]
fn identity(
    _: &(std::path::PathBuf, std::path::PathBuf),
) -> Result<mysql_async::ClientIdentity, AnyError> {
    Err("native-tls takes no separate certificate and key: use a rustls feature".into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evenhand_config::Config;

    use super::*;
    use crate::options::{AllDownKind, MinUp, PickKind, ProbeKind};

    const PEERS: &str = "[databases.a]\nurl = 'mysql://u:p@h/d?pool_min=2'\n\
                         [databases.b]\nhost = 'b'\n";

    fn pool(text: &str) -> Result<Pool, Error> {
        let text = format!("{PEERS}{text}");
        let config = Config::parse(&text, "f").unwrap_or_else(|error| panic!("{error}"));
        PoolOptions::new().open_config(config.balanced("d").unwrap())
    }

    /// Each setting differs from its default, so a forgotten one fails the test.
    #[test]
    fn every_setting_of_the_file_reaches_the_pool() {
        let text = r#"
            [databases.d]
            peers = ["a", "b"]
            pick = "least_in_flight"
            first_recheck = "250ms"
            check_interval = "7s"
            min_up = "50%"
            all_down = "fail_open"
            max_attempts = 6
            max_unknown = 2
            max_refusals = 4
            connect_timeout = "1s"
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
            health_check_interval = "6s"
            fall = 4
            rise = 5
            silence = "300ms"
            lost_after = 3
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
        let expected = PoolOptions::new()
            .pick(PickKind::LeastInFlight)
            .first_recheck(Duration::from_millis(250))
            .max_recheck_interval(seconds(7))
            .min_up(MinUp::Percent(50))
            .all_down(AllDownKind::FailOpen)
            .max_attempts(6)
            .max_unknown(2)
            .max_refusals(4)
            .connect_timeout(seconds(1))
            .checkout_timeout(seconds(2))
            .hedge_after(Duration::from_millis(100))
            .try_timeout(seconds(3))
            .work_timeout(seconds(4))
            .transaction_attempts(2)
            .max_connections(9)
            .max_lifetime(None)
            .idle_timeout(seconds(8))
            .writable(true)
            .health_check(
                HealthCheck::new()
                    .probe(ProbeKind::Query {
                        sql: "SELECT 1".into(),
                        expect: "1".into(),
                    })
                    .timeout(Duration::from_millis(500))
                    .synced(true)
                    .active(seconds(6), 4)
                    .rise(5)
                    .silence(Duration::from_millis(300))
                    .lost_after(3),
            )
            .end_on_lost_peer(false)
            .name("d");
        assert_eq!(*pool(text).unwrap().options(), expected);
    }

    #[test]
    fn active_checks_can_be_turned_off_and_left_to_the_options() {
        let checks = |text: &str, own: HealthCheck| {
            let text = format!("{PEERS}[databases.d]\npeers = ['a', 'b']\n{text}");
            let config = Config::parse(&text, "f").unwrap();
            let options = PoolOptions::new().health_check(own);
            let pool = options.open_config(config.balanced("d").unwrap()).unwrap();
            pool.options().get_health_check().get_active()
        };
        let own = || HealthCheck::new().active(Duration::from_secs(2), 7);
        assert_eq!(checks("health_check_interval = 'none'", own()), None);
        assert_eq!(checks("", HealthCheck::new().passive()), None);
        let expected = Some((Duration::from_secs(2), 4));
        assert_eq!(checks("fall = 4", own()), expected);
        let expected = Some((Duration::from_secs(3), 7));
        assert_eq!(checks("health_check_interval = '3s'", own()), expected);
    }

    #[test]
    fn settings_that_are_not_given_have_their_defaults() {
        let pool = pool("[databases.d]\npeers = ['a', 'b']").unwrap();
        assert_eq!(*pool.options(), PoolOptions::default().name("d"));
    }

    /// The defaults in the config reference are those of the code.
    #[test]
    fn the_reference_shows_the_pools_defaults() {
        let defaults = PoolOptions::default().name("d");
        for key in evenhand_config::keys() {
            if key.scope != evenhand_config::Scope::Setting {
                continue;
            }
            // In the notation of the file; a text with spaces is prose, which cannot be compared.
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
    fn a_peers_keys_become_driver_options() {
        let text = "[databases.c]\nhost = 'c'\nport = 3307\nuser = 'u'\npassword = 'p'\n\
                    name = 'n'\npool_min = 3\npool_max = 7\nreset_connection = false\n\
                    init = ['DO 1', 'DO 2']\nsetup = 'DO 3'\n";
        let config = Config::parse(text, "f").unwrap();
        let opts = peer_opts(config.peer("c").unwrap()).unwrap();
        assert_eq!((opts.ip_or_hostname(), opts.tcp_port()), ("c", 3307));
        assert_eq!((opts.user(), opts.pass()), (Some("u"), Some("p")));
        assert_eq!(opts.db_name(), Some("n"));
        let pool_opts = opts.pool_opts();
        let constraints = pool_opts.constraints();
        assert_eq!((constraints.min(), constraints.max()), (3, 7));
        assert!(!pool_opts.reset_connection());
        // The driver begins with the last.
        assert_eq!(opts.init(), ["DO 2", "DO 1"]);
        assert_eq!(opts.setup(), ["DO 3"]);
    }

    #[test]
    fn keys_override_url_parameters_of_the_same_name() {
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
        // The driver's default would be ten.
        assert_eq!(limits("b"), (5, 5));
        assert_eq!(limits("c"), (1, 1));
    }

    #[test]
    fn peers_have_their_weights() {
        let text = format!("{PEERS}weight = 3\n[databases.d]\npeers = ['a', 'b']");
        let config = Config::parse(&text, "f").unwrap();
        let pool = PoolOptions::new()
            .open_config(config.balanced("d").unwrap())
            .unwrap();
        let weights: Vec<u32> = pool.statuses().iter().map(|status| status.weight).collect();
        assert_eq!(weights, [1, 3]);
    }

    #[cfg(not(any(
        feature = "rustls-ring",
        feature = "rustls-aws-lc",
        feature = "native-tls"
    )))]
    #[test]
    fn tls_is_refused_without_a_tls_feature() {
        let text = "[databases.c]\nhost = 'c'\ntls = true\n[databases.d]\npeers = ['c']";
        let error = pool(text).unwrap_err();
        assert!(
            error.to_string().contains("no TLS is compiled in"),
            "{error}"
        );
    }
}
