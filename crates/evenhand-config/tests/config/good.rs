//! Good files, and the configurations that they are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use evenhand_config::{
    Address, AllDownKind, BalancedDatabase, Config, DiscoverKind, Error, HostsKind, MinUp,
    PasswordSource, PickKind, ProbeKind, Sources,
};

use crate::{parts, seconds, settings};

fn load(name: &str) -> Config {
    let sources = Sources::none().variables([("SHOP_PASSWORD", "s3cret of a variable")]);
    sources
        .load(Path::new("tests/good").join(name))
        .unwrap_or_else(|error| panic!("{}", error.report()))
}

#[test]
fn proxysql_example_is_equal_in_toml_and_json() {
    let toml = load("seed_proxysql.toml");
    assert_eq!(toml, load("seed_proxysql.json"));
    let database = toml.balanced("default").unwrap();
    assert_eq!(database.check_interval(), seconds(30));
    let peers: Vec<_> = database.peers.iter().map(parts).collect();
    assert_eq!(
        peers,
        [
            ("peer0", 6033, "user", "password", "db_name"),
            ("peer1", 6033, "user", "password", "db_name"),
        ]
    );
}

#[test]
fn galera_example_lists_unknown_peers() {
    // The TOML file has the intended peers. `bad/django_seed_galera.txt` has the errors of the original.
    let config = load("seed_galera.toml");
    let peers = &config.balanced("default").unwrap().peers;
    let galera0 = ("galera0", 6033, "user", "password", "db_name");
    assert_eq!(parts(&peers[0]), galera0);
    let text = std::fs::read_to_string("tests/bad/django_seed_galera.json").unwrap();
    let Err(Error::Invalid(problems)) = Config::parse_json(&text, "settings.json") else {
        panic!("expected problems");
    };
    let guesses: Vec<_> = problems
        .iter()
        .map(|problem| problem.suggestion())
        .collect();
    assert_eq!(guesses, [Some("peer0"), Some("peer1")]);
}

#[test]
fn example_of_two_databases_is_equal_in_toml_and_json() {
    let toml = load("seed_two.toml");
    assert_eq!(toml, load("seed_two.json"));
    let aliases = |database: &BalancedDatabase| -> Vec<String> {
        database
            .peers
            .iter()
            .map(|peer| peer.alias.clone())
            .collect()
    };
    assert_eq!(
        aliases(toml.balanced("default").unwrap()),
        ["peer0", "peer1"]
    );
    assert_eq!(aliases(toml.balanced("users").unwrap()), ["peer2", "peer3"]);
}

#[test]
fn examples_have_no_warnings() {
    for name in ["seed_proxysql", "seed_two"] {
        for extension in ["toml", "json"] {
            let config = load(&format!("{name}.{extension}"));
            assert!(config.warnings().is_empty(), "{}", config.warnings());
        }
    }
}

#[test]
fn every_key_is_in_the_config() {
    let config = load("every_key.toml");
    let text = std::fs::read_to_string("tests/good/every_key.toml").unwrap();
    for key in evenhand_config::keys() {
        assert!(text.contains(&format!("{} = ", key.name)), "{}", key.name);
    }
    let expected = settings(|s| {
        s.pick = Some(PickKind::Weighted);
        s.check_interval = Some(seconds(90));
        s.first_recheck = Some(Duration::from_millis(250));
        s.min_up = Some(MinUp::Percent(30));
        s.all_down = Some(AllDownKind::FailOpen);
        s.max_attempts = Some(Some(7));
        s.max_unknown = Some(2);
        s.max_refusals = Some(4);
        s.connect_timeout = Some(Duration::from_millis(500));
        s.checkout_timeout = Some(seconds(3));
        s.hedge_after = Some(Some(Duration::from_millis(100)));
        s.try_timeout = Some(seconds(2));
        s.work_timeout = Some(seconds(9));
        s.transaction_attempts = Some(Some(3));
        s.max_connections = Some(Some(20));
        s.max_lifetime = Some(None);
        s.idle_timeout = Some(Some(seconds(300)));
        s.writable = Some(true);
        s.probe = Some(ProbeKind::Query {
            sql: "SELECT in_service FROM ops.health".to_owned(),
            expect: "1".to_owned(),
        });
        s.probe_timeout = Some(seconds(1));
        s.synced = Some(true);
        s.health_check_interval = Some(Some(seconds(2)));
        s.fall = Some(2);
        s.rise = Some(4);
        s.silence = Some(Some(Duration::from_millis(300)));
        s.lost_after = Some(3);
        s.end_on_lost_peer = Some(false);
        s.name_lookup_interval = Some(Some(seconds(9)));
        s.discover = Some(DiscoverKind::GroupReplication);
        s.discover_interval = Some(seconds(2));
        let rules = [("10.0.0.1:3306", "db.example:33061"), ("[::1]", "[::2]")];
        let rules = rules.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
        s.discover_addresses = Some(rules.into());
        s.discover_tls_name = Some("db.example".to_owned());
    });
    let database = config.balanced("default").unwrap();
    assert_eq!(database.settings, expected);
    assert_eq!(database.check_interval(), seconds(90));

    let [db0, db1, db2, db3] = &database.peers[..] else {
        panic!("expected four peers");
    };
    assert_eq!((parts(db3).0, parts(db3).1), ("db.example", 3307));
    assert_eq!(db3.hosts, Some(HostsKind::Addresses));
    assert_eq!(db2.hosts, None);
    assert_eq!(
        parts(db0),
        ("10.0.0.1", 3307, "app", "s3cret of a variable", "shop")
    );
    let variable = PasswordSource::Variable("SHOP_PASSWORD".to_owned());
    assert_eq!(db0.password_source, Some(variable));
    assert_eq!(db0.weight, Some(2));
    assert_eq!(db0.connections.pool_min, Some(1));
    assert_eq!(db0.connections.pool_max, Some(10));
    assert_eq!(db0.connections.reset_connection, Some(false));
    let statements = |list: &Option<Vec<String>>| list.clone().unwrap();
    assert_eq!(statements(&db0.connections.init), ["SET @a = 1"]);
    let setup = statements(&db0.connections.setup);
    assert_eq!(setup, ["SET @b = 2", "SET @c = 3"]);
    let tls = db0.tls.as_ref().unwrap();
    let good = |name: &str| PathBuf::from("tests/good").join(name);
    assert_eq!(tls.ca, Some(good("ca.pem")));
    assert_eq!(tls.identity, Some((good("cert.pem"), good("key.pem"))));
    assert_eq!(tls.host_name.as_deref(), Some("db.example"));

    // Its URL sets the pool size, and its own `tls` hides the inherited one.
    assert!(matches!(&db1.address, Address::Url(url) if url.expose().contains("s3cret")));
    assert_eq!((db1.connections.pool_max, &db1.tls), (None, &None));
    assert_eq!(db1.password_source, None);

    assert_eq!(parts(db2).3, "s3cret of a file");
    let file = PasswordSource::File(good("password"));
    assert_eq!(db2.password_source, Some(file));
    assert_eq!(
        config.reload_inputs(),
        [
            good("every_key.toml"),
            good("ca.pem"),
            good("cert.pem"),
            good("key.pem"),
            good("password")
        ]
    );
    assert!(!format!("{config:?} {config:#?}").contains("s3cret"));
}

#[test]
fn none_and_words_are_values() {
    let config = load("every_key.toml");
    let expected = settings(|s| {
        s.pick = Some(PickKind::LeastInFlight);
        s.min_up = Some(MinUp::Peers(1));
        s.all_down = Some(AllDownKind::Fail);
        s.max_attempts = Some(None);
        s.hedge_after = Some(None);
        s.max_connections = Some(None);
        s.max_lifetime = Some(Some(seconds(3600)));
        s.idle_timeout = Some(None);
        s.probe = Some(ProbeKind::Writable);
        s.health_check_interval = Some(None);
    });
    assert_eq!(config.balanced("other").unwrap().settings, expected);
}

#[test]
fn django_dictionary_is_translated() {
    let config = load("django.json");
    assert!(config.warnings().is_empty(), "{}", config.warnings());
    let database = config.balanced("default").unwrap();
    let expected = settings(|s| {
        s.check_interval = Some(seconds(5));
        s.first_recheck = Some(Duration::from_millis(500));
        s.max_lifetime = Some(Some(seconds(600)));
        s.health_check_interval = Some(None);
        s.all_down = Some(AllDownKind::Fail);
        s.connect_timeout = Some(seconds(1));
    });
    assert_eq!(database.settings, expected);
    let [peer0, peer1] = &database.peers[..] else {
        panic!("expected two peers");
    };
    assert_eq!(parts(peer0), ("10.0.0.1", 3307, "app", "s3cret", "shop"));
    assert_eq!(parts(peer1), ("10.0.0.2", 3306, "app", "s3cret", "other"));
    assert!(peer0.tls.as_ref().unwrap().ca.is_some());
    assert_eq!(peer1.tls, Some(evenhand_config::Tls::default()));
    assert_eq!(peer0.connections.setup, None);
    assert_eq!(
        peer1.connections.setup.as_deref().unwrap(),
        [
            "SET NAMES utf8mb4",
            "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ANSI_QUOTES'",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
        ]
    );
}
