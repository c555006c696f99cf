//! Opens pools for a config file's databases: its keys, as options of the pool and of the driver.

#[cfg(test)]
mod tests;

use evenhand::PeersError;
#[cfg(feature = "dns")]
use evenhand_config::HostsKind;
use evenhand_config::{Address, BalancedDatabase, DiscoverKind, Peer, Settings, Tls};
#[cfg(feature = "dns")]
use evenhand_dns::Name;
use mysql_async::{Opts, OptsBuilder, PoolConstraints, SslOpts};

use crate::error::Error;
use crate::membership::Membership;
use crate::options::PoolOptions;
use crate::options::health::{DEFAULT_HEALTH_CHECK_INTERVAL, HealthCheck};
use crate::pool::Pool;
#[cfg(feature = "dns")]
use crate::pool::found::Host;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl PoolOptions {
    /// Opens a pool over the peers of a balanced database of a config file. Its [name](Self::name) is the
    /// database's alias. These options apply to what else the file does not set. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`Error::Options`] also for TLS if no TLS feature is on.
    pub fn open_config(self, database: &BalancedDatabase) -> Result<Pool, Error> {
        let options = self.configured(&database.settings).name(&*database.alias);
        let pool = open(options, database)?;
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
            end_on_lost_peer, name_lookup_interval,);
        let discover = discover(options.get_discover(), settings);
        options
            .health_check(active_checks(health_check, settings))
            .discover(discover)
    }
}

#[cfg(feature = "dns")]
fn open(options: PoolOptions, database: &BalancedDatabase) -> Result<Pool, Error> {
    let hosts = database.peers.iter().filter_map(|peer| {
        let found_by = peer.hosts?;
        Some(host(peer, found_by))
    });
    let hosts = hosts.collect::<Result<Vec<_>, Error>>()?;
    options.build_found(named_opts(database)?, hosts)
}

#[cfg(feature = "dns")]
fn host(peer: &Peer, found_by: HostsKind) -> Result<Host, Error> {
    let opts = peer_opts(peer)?;
    let name = match found_by {
        HostsKind::Addresses => Name::host(opts.ip_or_hostname(), opts.tcp_port()),
        HostsKind::Services => Name::srv(opts.ip_or_hostname()),
    };
    let label = peer.alias.as_str().into();
    match name {
        Ok(name) => Ok(Host {
            label,
            name,
            opts,
            weight: peer.weight.unwrap_or(1),
        }),
        Err(error) => Err(Error::Options {
            peer: label,
            cause: error.into(),
        }),
    }
}

#[cfg(not(feature = "dns"))]
fn open(options: PoolOptions, database: &BalancedDatabase) -> Result<Pool, Error> {
    match database.peers.iter().find(|peer| peer.hosts.is_some()) {
        Some(peer) => Err(Error::Options {
            peer: peer.alias.as_str().into(),
            cause: "`hosts` needs the feature `dns` of evenhand-mysql".into(),
        }),
        None => options.build(named_opts(database)?),
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

/// The membership is one option, and several keys.
fn discover(own: Option<Membership>, settings: &Settings) -> Option<Membership> {
    let membership = match settings.discover {
        Some(DiscoverKind::Nothing) => return None,
        Some(DiscoverKind::Galera) => Membership::galera(),
        Some(DiscoverKind::GroupReplication) => Membership::group_replication(),
        None => own?,
    };
    let membership = match settings.discover_interval {
        Some(interval) => membership.interval(interval),
        None => membership,
    };
    let membership = match &settings.discover_tls_name {
        Some(name) => membership.tls_name(name.clone()),
        None => membership,
    };
    let rules = settings.discover_addresses.iter().flatten().cloned();
    Some(rules.fold(membership, |membership, (from, to)| {
        membership.map_address(from, to)
    }))
}

impl Pool {
    /// Replaces the peers by those of the database. Peers that stay keep their state.
    pub(super) fn adopt_peers(&self, database: &BalancedDatabase) -> Result<(), Error> {
        self.peers().replace_all(named_opts(database)?)?;
        self.set_weights(database)
    }

    fn set_weights(&self, database: &BalancedDatabase) -> Result<(), Error> {
        let peers = self.peers();
        for peer in &database.peers {
            match peers.set_weight(&peer.alias, peer.weight.unwrap_or(1)) {
                // One that stands for others, is not a member of the cluster, or was removed meanwhile.
                Err(Error::Peers(PeersError::Unknown(_))) => {}
                set => set?,
            }
        }
        Ok(())
    }
}

fn named_opts(database: &BalancedDatabase) -> Result<Vec<(&str, Opts)>, Error> {
    let peers = database.peers.iter().filter(|peer| peer.hosts.is_none());
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
