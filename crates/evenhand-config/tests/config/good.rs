//! Good files, and the plans that they make.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use evenhand_config::{
    Address, AllDown, BalancedDatabase, Config, Error, Keep, PasswordSource, Peer, Pick, Probe,
    Secret, Settings, Sources,
};

fn load(name: &str) -> Config {
    let sources = Sources::none().variables([("SHOP_PASSWORD", "s3cret of a variable")]);
    Config::load_with(Path::new("tests/good").join(name), &sources)
        .unwrap_or_else(|error| panic!("{}", error.report()))
}

fn parts(peer: &Peer) -> (&str, u16, &str, &str, &str) {
    let Address::Parts {
        host,
        port,
        user,
        password,
        name,
        ..
    } = &peer.address
    else {
        panic!("expected parts");
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default().leak() as &str;
    let password = password.as_ref().map_or("", Secret::expose);
    (host, *port, text(user), password, text(name))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The settings that a test expects: those that differ from none.
fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

#[test]
fn the_seeds_first_example_is_the_same_in_both_forms() {
    let toml = load("seed_proxysql.toml");
    assert_eq!(toml, load("seed_proxysql.json"));
    let database = toml.balanced("default").unwrap();
    assert_eq!(database.check_interval, seconds(30));
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
fn the_seeds_second_example_names_peers_that_are_not_there() {
    // As TOML it says what was meant; as it stands, `bad/django_seed_galera.txt` has what is said.
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
fn the_seeds_third_example_is_the_same_in_both_forms() {
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
fn no_example_of_the_seed_is_warned_of() {
    for name in ["seed_proxysql", "seed_two"] {
        for extension in ["toml", "json"] {
            let config = load(&format!("{name}.{extension}"));
            assert!(config.warnings().is_empty(), "{}", config.warnings());
        }
    }
}

#[test]
fn every_key_comes_out_in_the_plan() {
    let config = load("every_key.toml");
    let text = std::fs::read_to_string("tests/good/every_key.toml").unwrap();
    for key in evenhand_config::keys() {
        assert!(text.contains(&format!("{} = ", key.name)), "{}", key.name);
    }
    let expected = settings(|s| {
        s.pick = Some(Pick::Weighted);
        s.check_interval = Some(seconds(90));
        s.first_recheck = Some(Duration::from_millis(250));
        s.keep = Some(Keep::Percent(30));
        s.all_down = Some(AllDown::LastResort);
        s.attempt_timeout = Some(Duration::from_millis(500));
        s.checkout_timeout = Some(seconds(3));
        s.hedge_after = Some(Some(Duration::from_millis(100)));
        s.try_timeout = Some(seconds(2));
        s.work_timeout = Some(seconds(9));
        s.transaction_attempts = Some(3);
        s.max_connections = Some(Some(20));
        s.max_lifetime = Some(None);
        s.idle_timeout = Some(Some(seconds(300)));
        s.writable = Some(true);
        s.probe = Some(Probe::Query {
            sql: "SELECT in_service FROM ops.health".to_owned(),
            expect: "1".to_owned(),
        });
        s.probe_timeout = Some(seconds(1));
        s.synced = Some(true);
        s.check_up_every = Some(Some(seconds(2)));
        s.fall = Some(2);
        s.rise = Some(4);
        s.end_on_lost_peer = Some(false);
    });
    let database = config.balanced("default").unwrap();
    assert_eq!(database.settings, expected);
    assert_eq!(database.check_interval, seconds(90));

    let [db0, db1, db2] = &database.peers[..] else {
        panic!("expected three peers");
    };
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
    let tls = db0.tls.as_ref().unwrap();
    let good = |name: &str| PathBuf::from("tests/good").join(name);
    assert_eq!(tls.ca, Some(good("ca.pem")));
    assert_eq!(tls.identity, Some((good("cert.pem"), good("key.pem"))));
    assert_eq!(tls.host_name.as_deref(), Some("db.example"));

    // Its url says how many; and its own `tls` comes before what it inherits.
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
fn none_is_a_value_and_words_are_others() {
    let config = load("every_key.toml");
    let expected = settings(|s| {
        s.pick = Some(Pick::LeastInFlight);
        s.keep = Some(Keep::Peers(1));
        s.all_down = Some(AllDown::Fail);
        s.hedge_after = Some(None);
        s.max_connections = Some(None);
        s.max_lifetime = Some(Some(seconds(3600)));
        s.idle_timeout = Some(None);
        s.probe = Some(Probe::Writable);
        s.check_up_every = Some(None);
    });
    assert_eq!(config.balanced("other").unwrap().settings, expected);
}

#[test]
fn what_of_djangos_dictionary_has_a_meaning_is_taken() {
    let config = load("django.json");
    assert!(config.warnings().is_empty(), "{}", config.warnings());
    let database = config.balanced("default").unwrap();
    let expected = settings(|s| {
        s.check_interval = Some(seconds(5));
        s.first_recheck = Some(Duration::from_millis(500));
        s.max_lifetime = Some(Some(seconds(600)));
        s.check_up_every = Some(None);
        s.all_down = Some(AllDown::Fail);
        s.attempt_timeout = Some(seconds(1));
    });
    assert_eq!(database.settings, expected);
    let [peer0, peer1] = &database.peers[..] else {
        panic!("expected two peers");
    };
    assert_eq!(parts(peer0), ("10.0.0.1", 3307, "app", "s3cret", "shop"));
    assert_eq!(parts(peer1), ("10.0.0.2", 3306, "app", "s3cret", "other"));
    assert!(peer0.tls.as_ref().unwrap().ca.is_some());
    assert_eq!(peer1.tls, Some(evenhand_config::Tls::default()));
}

const INHERITING: &str = "
    [defaults]
    user = 'of the defaults'
    password = 'of the defaults'
    fall = 2
    rise = 2

    [databases.own]
    host = 'h'
    user = 'of its own'
    password = ''

    [databases.bare]
    host = 'h'

    [databases.one]
    peers = ['own', 'bare']
    user = 'of one'
    rise = 3

    [databases.two]
    peers = ['bare']
    password = 'of two'
";

#[test]
fn a_peer_inherits_from_the_nearest_table() {
    let config = Config::parse(INHERITING, "f").unwrap();
    let login = |peer: &Peer| (parts(peer).2.to_owned(), parts(peer).3.to_owned());
    let of = |user: &str, password: &str| (user.to_owned(), password.to_owned());
    let one = config.balanced("one").unwrap();
    // An empty password hides what it would inherit.
    assert_eq!(login(&one.peers[0]), of("of its own", ""));
    assert_eq!(one.peers[0].password_source, None);
    assert_eq!(login(&one.peers[1]), of("of one", "of the defaults"));
    let two = config.balanced("two").unwrap();
    assert_eq!(login(&two.peers[0]), of("of the defaults", "of two"));
    let alone = config.peer("bare").unwrap();
    assert_eq!(login(alone), of("of the defaults", "of the defaults"));
    assert_eq!((one.settings.fall, one.settings.rise), (Some(2), Some(3)));
    assert_eq!((two.settings.fall, two.settings.rise), (Some(2), Some(2)));
}

#[test]
fn plans_differ_where_a_secret_does() {
    let other = INHERITING.replace("'of two'", "'of three'");
    let (one, other) = (Config::parse(INHERITING, "f"), Config::parse(&other, "f"));
    assert_eq!(one.as_ref().unwrap(), one.as_ref().unwrap());
    assert_ne!(one.unwrap(), other.unwrap());
}

#[test]
fn variables_override_keys_whatever_their_case() {
    let text = "[databases.db-0]\nhost = 'a'\npassword_env = 'NOT_SET'\n\
                [databases.default]\npeers = ['db-0']\nfall = 7\nprobe = 'ping'";
    let sources = Sources::none().variables([
        ("EVENHAND__DATABASES__DB_0__HOST", "b"),
        ("EVENHAND__DATABASES__DB_0__PORT", "3307"),
        ("EVENHAND__DATABASES__DB_0__PASSWORD", "s3cret"),
        ("EVENHAND__DEFAULTS__USER", "app"),
        ("EVENHAND__DEFAULTS__SYNCED", "True"),
        ("evenhand__databases__default__fall", "2"),
        ("EVENHAND__DATABASES__DEFAULT__MAX_CONNECTIONS", "none"),
        ("EVENHAND__DATABASES__DEFAULT__KEEP", "50%"),
        ("EVENHAND__DATABASES__DEFAULT__PEERS", " db-0 "),
        ("EVENHAND__DATABASES__DEFAULT__PROBE__QUERY", "SELECT 1"),
        ("EVENHAND__DATABASES__DEFAULT__PROBE__EXPECT", "1"),
        ("EVENHAND_DATABASES", "none of ours"),
    ]);
    let config = Config::parse_with(text, "f", &sources).unwrap();
    let database = config.balanced("default").unwrap();
    assert_eq!(parts(&database.peers[0]), ("b", 3307, "app", "s3cret", ""));
    let expected = settings(|s| {
        s.synced = Some(true);
        s.fall = Some(2);
        s.max_connections = Some(None);
        s.keep = Some(Keep::Percent(50));
        s.probe = Some(Probe::Query {
            sql: "SELECT 1".to_owned(),
            expect: "1".to_owned(),
        });
    });
    assert_eq!(database.settings, expected);
}

#[test]
fn variables_override_djangos_keys_as_well() {
    let text = std::fs::read_to_string("tests/good/seed_proxysql.json").unwrap();
    let variables = [("EVENHAND__DATABASES__DEFAULT__CHECK_INTERVAL", "10s")];
    let sources = Sources::none().variables(variables);
    let config = Config::parse_json_with(&text, "f", &sources).unwrap();
    assert_eq!(
        config.balanced("default").unwrap().check_interval,
        seconds(10)
    );
}

#[test]
fn a_password_file_is_read_anew_with_the_plan() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write(
        "evenhand.toml",
        "[databases.a]\nhost = 'h'\npassword_file = 'password'",
    );
    let path = directory.path().join("evenhand.toml");
    let password = |config: &Config| parts(config.peer("a").unwrap()).3.to_owned();
    write("password", "old\r\n");
    let old = Config::load_with(&path, &Sources::none()).unwrap();
    write("password", "new ");
    let new = Config::load_with(&path, &Sources::none()).unwrap();
    assert_eq!(
        (password(&old), password(&new)),
        ("old".into(), "new ".into())
    );
    assert_ne!(old, new);
    assert_eq!(
        new.reload_inputs(),
        [path, directory.path().join("password")]
    );
}

#[test]
fn a_text_that_is_parsed_alone_reaches_no_file() {
    let text = "[databases.a]\nhost = 'h'\npassword_file = '/etc/hostname'";
    let error = Config::parse(text, "f").unwrap_err().to_string();
    assert_eq!(
        error,
        "f:3:17: databases.a.password_file: no file is read here: \
         load the configuration from a file itself"
    );
}

#[test]
fn every_notation_of_an_integer_is_one() {
    for port in [
        "3306",
        "+3306",
        "3_306",
        "0xCEA",
        "0o6352",
        "0b110011101010",
    ] {
        let text = format!("[databases.a]\nhost = 'h'\nport = {port}");
        let config = Config::parse(&text, "f").unwrap();
        assert_eq!(parts(config.peer("a").unwrap()).1, 3306);
    }
}

#[test]
fn an_alias_may_have_two_underscores_itself() {
    let text = "[databases.a__b]\nhost = 'a'\n[databases.a]\nhost = 'b'";
    let sources = Sources::none().variables([
        ("EVENHAND__DATABASES__A__B__HOST", "c"),
        ("EVENHAND__DATABASES__A__HOST", "d"),
    ]);
    let config = Config::parse_with(text, "f", &sources).unwrap();
    assert_eq!(parts(config.peer("a__b").unwrap()).0, "c");
    assert_eq!(parts(config.peer("a").unwrap()).0, "d");
}

#[test]
fn a_files_form_is_told_by_its_name() {
    let json = Config::load("tests/good/seed_two.json").unwrap();
    assert_eq!(json, Config::load("tests/good/seed_two.toml").unwrap());
    // Read as the other it makes no sense.
    let text = std::fs::read_to_string("tests/good/seed_two.toml").unwrap();
    assert!(Config::parse_json(&text, "f").is_err());
}
