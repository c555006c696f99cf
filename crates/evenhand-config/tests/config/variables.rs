//! Environment variables.

use evenhand_config::{MinUp, ProbeKind, Sources};

use crate::{parts, seconds, settings};

#[test]
fn variables_override_keys_in_any_case() {
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
        ("EVENHAND__DATABASES__DEFAULT__MIN_UP", "50%"),
        ("EVENHAND__DATABASES__DEFAULT__PEERS", " db-0 "),
        ("EVENHAND__DATABASES__DEFAULT__PROBE__QUERY", "SELECT 1"),
        ("EVENHAND__DATABASES__DEFAULT__PROBE__EXPECT", "1"),
        ("EVENHAND_DATABASES", "none of ours"),
    ]);
    let config = sources.parse(text, "f").unwrap();
    let database = config.balanced("default").unwrap();
    assert_eq!(parts(&database.peers[0]), ("b", 3307, "app", "s3cret", ""));
    let expected = settings(|s| {
        s.synced = Some(true);
        s.fall = Some(2);
        s.max_connections = Some(None);
        s.min_up = Some(MinUp::Percent(50));
        s.probe = Some(ProbeKind::Query {
            sql: "SELECT 1".to_owned(),
            expect: "1".to_owned(),
        });
    });
    assert_eq!(database.settings, expected);
}

#[test]
fn variables_override_django_keys() {
    let text = std::fs::read_to_string("tests/good/seed_proxysql.json").unwrap();
    let variables = [("EVENHAND__DATABASES__DEFAULT__CHECK_INTERVAL", "10s")];
    let sources = Sources::none().variables(variables);
    let config = sources.parse_json(&text, "f").unwrap();
    assert_eq!(
        config.balanced("default").unwrap().check_interval(),
        seconds(10)
    );
}

#[test]
fn alias_may_contain_the_separator() {
    let text = "[databases.a__b]\nhost = 'a'\n[databases.a]\nhost = 'b'";
    let sources = Sources::none().variables([
        ("EVENHAND__DATABASES__A__B__HOST", "c"),
        ("EVENHAND__DATABASES__A__HOST", "d"),
    ]);
    let config = sources.parse(text, "f").unwrap();
    assert_eq!(parts(config.peer("a__b").unwrap()).0, "c");
    assert_eq!(parts(config.peer("a").unwrap()).0, "d");
}
