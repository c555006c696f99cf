//! Adapts a peer's driver options to this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, PoolConstraints, PoolOpts};

use crate::observe::PeerMetrics;
use crate::options::PoolOptions;

/// TCP keepalive, unless the peer's own options set it.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The longest lifetime. The driver adds lifetimes to the clock, which must not overflow.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The shortest and longest interval at which the driver looks for connections that are idle or alive
/// for too long: the shortest it can, and its default.
const TTL_CHECK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The options with which a peer is connected to. What `opts` set takes precedence over `options`.
pub(crate) fn driver_opts(opts: Opts, options: &PoolOptions) -> Opts {
    let keepalive = opts.tcp_keepalive().or(Some(KEEPALIVE));
    // The builder takes an address for a name, and would look up the brackets as well.
    let host = opts.ip_or_hostname();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = bare.unwrap_or(host).to_owned();
    let pool_opts = lifetimes(opts.pool_opts().clone(), options);
    let constraints = pool_opts.constraints();
    // Callers wait for this crate's permits, so the driver's own queue must never be needed.
    let above = constraints.max().saturating_mul(2).saturating_add(16);
    // Cannot fail: the upper limit only grew.
    let constraints = PoolConstraints::new(constraints.min(), above).unwrap_or(constraints);
    let pool_opts = pool_opts
        .with_constraints(constraints)
        // This crate resets connections itself, with a time limit; the driver has none.
        .with_reset_connection(false);
    let init = before(options.get_init(), opts.init());
    let setup = before(options.get_setup(), opts.setup());
    OptsBuilder::from_opts(opts)
        .init(init)
        .setup(setup)
        .ip_or_hostname(host)
        .pool_opts(pool_opts)
        .tcp_keepalive(keepalive)
        // A peer is the address that was given, never a local socket that the server announces.
        .prefer_socket(false)
        .into()
}

/// The statements in their order, before the peer's own. The driver begins with the last.
fn before(statements: Vec<String>, own: &[String]) -> Vec<String> {
    let own = own.iter().cloned();
    own.chain(statements.into_iter().rev()).collect()
}

/// The same options, with a count of every connection that is opened.
pub(crate) fn count_opened(opts: &Opts, opened: Arc<AtomicU64>, metrics: PeerMetrics) -> Opts {
    let own = opts.after_connect();
    OptsBuilder::from_opts(opts.clone())
        .after_connect(move |conn| {
            opened.fetch_add(1, Ordering::Relaxed);
            metrics.logged_in();
            match &own {
                Some(own) => own(conn),
                None => Box::pin(async { Ok(()) }),
            }
        })
        .into()
}

/// Sets how long connections live and may be idle.
fn lifetimes(own: PoolOpts, options: &PoolOptions) -> PoolOpts {
    let mut opts = own.clone();
    if let (None, Some(lifetime)) = (own.abs_conn_ttl(), options.get_max_lifetime()) {
        let lifetime = lifetime.min(FOREVER);
        opts = opts
            .with_abs_conn_ttl(Some(lifetime - lifetime / 10))
            .with_abs_conn_ttl_jitter(Some(lifetime / 5));
    }
    // The driver's default of zero closes idle connections above `pool_min` at once.
    if own.inactive_connection_ttl().is_zero() {
        opts = opts.with_inactive_connection_ttl(options.get_idle_timeout().unwrap_or(FOREVER));
    }
    let idle = opts.inactive_connection_ttl();
    let shortest = opts.abs_conn_ttl().map_or(idle, |ttl| ttl.min(idle));
    let look = (shortest / 4).clamp(TTL_CHECK.0, TTL_CHECK.1);
    opts.with_ttl_check_interval(look.min(own.ttl_check_interval()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(url: &str) -> Opts {
        driver_opts(Opts::from_url(url).unwrap(), &PoolOptions::default())
    }

    #[test]
    fn a_peer_is_never_replaced_by_a_local_socket() {
        assert!(!adapted("mysql://h/d").prefer_socket());
    }

    #[test]
    fn the_drivers_queue_is_never_needed() {
        let opts = adapted("mysql://h/d?pool_max=7&pool_min=3");
        let constraints = opts.pool_opts().constraints();
        assert!(constraints.max() > 2 * 7);
        assert_eq!(constraints.min(), 3);
        assert!(!opts.pool_opts().reset_connection());
    }

    #[test]
    fn keepalive_is_on_unless_the_peer_sets_it() {
        assert_eq!(adapted("mysql://h/d").tcp_keepalive(), Some(KEEPALIVE));
        let own = adapted("mysql://h/d?tcp_keepalive=5000").tcp_keepalive();
        assert_eq!(own, Some(Duration::from_secs(5)));
    }

    #[test]
    fn statements_of_the_pool_come_before_a_peers_own() {
        let own = Opts::from_url("mysql://h/d").unwrap();
        let own = OptsBuilder::from_opts(own).init(vec!["own 2", "own 1"]);
        let options = PoolOptions::new().init(["a", "b"]).setup(["c"]);
        let opts = driver_opts(own.into(), &options);
        assert_eq!(opts.init(), ["own 2", "own 1", "b", "a"]);
        assert_eq!(opts.setup(), ["c"]);
    }

    #[test]
    fn brackets_of_an_ipv6_address_are_removed() {
        assert_eq!(adapted("mysql://[::1]:3307/d").ip_or_hostname(), "::1");
        assert_eq!(adapted("mysql://h:3307/d").ip_or_hostname(), "h");
    }

    #[test]
    fn default_lifetimes_are_30_minutes_and_1_minute_idle() {
        let opts = adapted("mysql://h/d");
        let minutes = |n: u64| Duration::from_secs(60 * n);
        assert_eq!(opts.abs_conn_ttl(), Some(minutes(27)));
        assert_eq!(opts.abs_conn_ttl_jitter(), Some(minutes(6)));
        assert_eq!(opts.pool_opts().inactive_connection_ttl(), minutes(1));
        let look = opts.pool_opts().ttl_check_interval();
        assert_eq!(look, Duration::from_secs(15));
    }

    #[test]
    fn a_peers_own_lifetimes_take_precedence() {
        let opts = adapted("mysql://h/d?abs_conn_ttl=40&inactive_connection_ttl=8");
        assert_eq!(opts.abs_conn_ttl(), Some(Duration::from_secs(40)));
        assert_eq!(opts.abs_conn_ttl_jitter(), None);
        let idle = opts.pool_opts().inactive_connection_ttl();
        assert_eq!(idle, Duration::from_secs(8));
        let look = opts.pool_opts().ttl_check_interval();
        assert_eq!(look, Duration::from_secs(2));
    }

    #[test]
    fn an_unlimited_lifetime_does_not_overflow_the_clock() {
        let options = PoolOptions::new()
            .max_lifetime(Duration::MAX)
            .idle_timeout(None);
        let opts = driver_opts(Opts::from_url("mysql://h/d").unwrap(), &options);
        let latest = opts.abs_conn_ttl().unwrap() + opts.abs_conn_ttl_jitter().unwrap();
        assert!(std::time::Instant::now().checked_add(latest).is_some());
        let idle = opts.pool_opts().inactive_connection_ttl();
        assert_eq!(idle, FOREVER);
    }
}
