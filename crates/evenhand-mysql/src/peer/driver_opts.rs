//! The driver's options as this crate needs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, PoolConstraints, PoolOpts};

use crate::options::PoolOptions;

/// A silent connection is looked after by the kernel from this on, unless the options say
/// otherwise.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(30);

/// The driver adds lifetimes to the clock, which must not overflow. Nothing lives that long.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The driver looks for connections that have been idle or alive too long so often: no more often
/// than it can, and no more rarely than it does by itself.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What stands in `opts` is the peer's own and stays; where it says nothing, `options` do.
pub(crate) fn tame(opts: Opts, options: &PoolOptions) -> Opts {
    let keepalive = opts.tcp_keepalive().or(Some(KEEPALIVE));
    // The builder takes an address for a name, and would look up the brackets, too.
    let host = opts.ip_or_hostname();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = bare.unwrap_or(host).to_owned();
    let pool_opts = lifetimes(opts.pool_opts().clone(), options);
    let constraints = pool_opts.constraints();
    // Admission is this crate's, so the inner pool's own queue must never be needed.
    let above = constraints.max().saturating_mul(2).saturating_add(16);
    // Cannot fail: the upper limit only grew.
    let constraints = PoolConstraints::new(constraints.min(), above).unwrap_or(constraints);
    let pool_opts = pool_opts
        .with_constraints(constraints)
        // Reset is this crate's own, with a time limit; the inner pool's has none.
        .with_reset_connection(false);
    OptsBuilder::from_opts(opts)
        .ip_or_hostname(host)
        .pool_opts(pool_opts)
        .tcp_keepalive(keepalive)
        // A peer is the peer that was named, never a local socket that it tells of.
        .prefer_socket(false)
        .into()
}

/// The same, and every connection that is opened with it is counted.
pub(crate) fn counted(opts: &Opts, opened: Arc<AtomicU64>) -> Opts {
    let own = opts.after_connect();
    OptsBuilder::from_opts(opts.clone())
        .after_connect(move |conn| {
            opened.fetch_add(1, Ordering::Relaxed);
            match &own {
                Some(own) => own(conn),
                None => Box::pin(async { Ok(()) }),
            }
        })
        .into()
}

/// How long connections live and may be idle.
fn lifetimes(own: PoolOpts, options: &PoolOptions) -> PoolOpts {
    let mut opts = own.clone();
    if let (None, Some(lifetime)) = (own.abs_conn_ttl(), options.max_lifetime) {
        let lifetime = lifetime.min(FOR_EVER);
        opts = opts
            .with_abs_conn_ttl(Some(lifetime - lifetime / 10))
            .with_abs_conn_ttl_jitter(Some(lifetime / 5));
    }
    // Nought is the driver's default: it closes what is idle beyond `min` at once.
    if own.inactive_connection_ttl().is_zero() {
        opts = opts.with_inactive_connection_ttl(options.idle_timeout.unwrap_or(FOR_EVER));
    }
    let idle = opts.inactive_connection_ttl();
    let shortest = opts.abs_conn_ttl().map_or(idle, |ttl| ttl.min(idle));
    let look = (shortest / 4).clamp(LOOKS.0, LOOKS.1);
    opts.with_ttl_check_interval(look.min(own.ttl_check_interval()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tamed(url: &str) -> Opts {
        tame(Opts::from_url(url).unwrap(), &PoolOptions::default())
    }

    #[test]
    fn a_peer_is_never_replaced_by_a_local_socket() {
        assert!(!tamed("mysql://h/d").prefer_socket());
    }

    #[test]
    fn the_inner_pools_queue_is_out_of_reach() {
        let opts = tamed("mysql://h/d?pool_max=7&pool_min=3");
        let constraints = opts.pool_opts().constraints();
        assert!(constraints.max() > 2 * 7);
        assert_eq!(constraints.min(), 3);
        assert!(!opts.pool_opts().reset_connection());
    }

    #[test]
    fn silent_connections_are_kept_alive_unless_told_otherwise() {
        assert_eq!(tamed("mysql://h/d").tcp_keepalive(), Some(KEEPALIVE));
        let own = tamed("mysql://h/d?tcp_keepalive=5000").tcp_keepalive();
        assert_eq!(own, Some(Duration::from_secs(5)));
    }

    #[test]
    fn an_address_in_brackets_is_an_address() {
        assert_eq!(tamed("mysql://[::1]:3307/d").ip_or_hostname(), "::1");
        assert_eq!(tamed("mysql://h:3307/d").ip_or_hostname(), "h");
    }

    #[test]
    fn connections_live_half_an_hour_give_or_take_a_tenth_and_idle_a_minute() {
        let opts = tamed("mysql://h/d");
        let minutes = |n: u64| Duration::from_secs(60 * n);
        assert_eq!(opts.abs_conn_ttl(), Some(minutes(27)));
        assert_eq!(opts.abs_conn_ttl_jitter(), Some(minutes(6)));
        assert_eq!(opts.pool_opts().inactive_connection_ttl(), minutes(1));
        let look = opts.pool_opts().ttl_check_interval();
        assert_eq!(look, Duration::from_secs(15));
    }

    #[test]
    fn a_peers_own_lifetimes_stay() {
        let opts = tamed("mysql://h/d?abs_conn_ttl=40&inactive_connection_ttl=8");
        assert_eq!(opts.abs_conn_ttl(), Some(Duration::from_secs(40)));
        assert_eq!(opts.abs_conn_ttl_jitter(), None);
        let idle = opts.pool_opts().inactive_connection_ttl();
        assert_eq!(idle, Duration::from_secs(8));
        let look = opts.pool_opts().ttl_check_interval();
        assert_eq!(look, Duration::from_secs(2));
    }

    #[test]
    fn for_ever_does_not_overflow_the_clock() {
        let options = PoolOptions::default()
            .max_lifetime(Some(Duration::MAX))
            .idle_timeout(None);
        let opts = tame(Opts::from_url("mysql://h/d").unwrap(), &options);
        let latest = opts.abs_conn_ttl().unwrap() + opts.abs_conn_ttl_jitter().unwrap();
        assert!(std::time::Instant::now().checked_add(latest).is_some());
        let idle = opts.pool_opts().inactive_connection_ttl();
        assert_eq!(idle, FOR_EVER);
    }
}
