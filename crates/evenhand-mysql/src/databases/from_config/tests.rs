//! The keys of a file become options.

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
        name_lookup_interval = "9s"
            discover = "galera"
            discover_interval = "2s"
            discover_addresses = ["10.0.0.1 = db.example"]
            discover_tls_name = "db.example"
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
        .name_lookup_interval(seconds(9))
        .discover(
            Membership::galera()
                .interval(seconds(2))
                .tls_name("db.example".to_owned())
                .map_address("10.0.0.1".parse().unwrap(), "db.example".parse().unwrap()),
        )
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
fn file_may_turn_discovery_off_and_leave_it_to_the_options() {
    let discover = |text: &str, own: Option<Membership>| {
        let text = format!("{PEERS}[databases.d]\npeers = ['a', 'b']\n{text}");
        let config = Config::parse(&text, "f").unwrap();
        let options = PoolOptions::new().discover(own);
        let pool = options.open_config(config.balanced("d").unwrap()).unwrap();
        pool.options().get_discover()
    };
    let own = || Some(Membership::group_replication().tls_name("n".to_owned()));
    assert_eq!(discover("", own()), own());
    assert_eq!(discover("discover = 'none'", own()), None);
    let galera = Some(Membership::galera());
    assert_eq!(discover("discover = 'galera'", own()), galera);
    let (quick, second) = ("discover_interval = '1s'", Duration::from_secs(1));
    let expected = own().map(|membership| membership.interval(second));
    assert_eq!(discover(quick, own()), expected);
    assert_eq!(discover(quick, None), None);
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
    let text =
        format!("{PEERS}pool_max = 5\n[databases.c]\nurl = 'mysql://h/d?pool_min=2'\npool_max = 1");
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

#[cfg(not(feature = "dns"))]
#[test]
fn names_in_dns_are_refused_without_the_feature() {
    let text = "[databases.c]\nhosts = 'dns:c'\n[databases.d]\npeers = ['a', 'c']";
    let error = pool(text).unwrap_err().to_string();
    assert!(error.contains("needs the feature `dns`"), "{error}");
    let error = PoolOptions::new()
        .open_url("mysql+srv://u:p@h/d")
        .unwrap_err();
    assert!(error.to_string().contains("feature `dns`"), "{error}");
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
