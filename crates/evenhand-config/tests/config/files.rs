//! Rules about a file as a whole.

use evenhand_config::{Address, Config, Problem};

use crate::{invalid, problem, problems};

#[test]
fn file_without_databases_is_refused() {
    let missing =
        "f:1:1: databases: missing: name at least one database, such as `[databases.default]`";
    assert_eq!(problem(""), missing);
    assert_eq!(problem("# nothing here\n"), missing);
}

#[test]
fn empty_table_of_databases_is_refused() {
    assert_eq!(
        problem("\n[databases]\n"),
        "f:2:2: databases: no database: name at least one, such as `[databases.default]`"
    );
}

#[test]
fn databases_of_the_wrong_type_are_refused() {
    assert_eq!(
        problem("databases = 1"),
        "f:1:13: databases: expected a table, found an integer"
    );
    assert_eq!(
        problem("[[databases]]"),
        "f:1:1: databases: expected a table, found an array"
    );
    assert_eq!(
        problem("[databases]\ndb0 = 'mysql://app:secret@h'"),
        "f:2:7: databases.db0: expected a table, found a string"
    );
}

#[test]
fn unknown_key_of_the_file_is_refused() {
    assert_eq!(
        problem("url = 'x'\n[databases.db0]\nhost = 'h'"),
        "f:1:1: url: unknown key `url`; the file has: databases, defaults"
    );
}

#[test]
fn misspelt_databases_is_reported_once() {
    assert_eq!(
        problem("[database.db0]\nhost = 'h'"),
        "f:1:2: database: unknown key `database` (did you mean `databases`?)"
    );
}

#[test]
fn empty_alias_is_refused() {
    assert_eq!(
        problem("[databases.'']\nhost = 'h'"),
        "f:1:12: databases.\"\": empty alias: give the database a name"
    );
}

#[test]
fn address_as_alias_is_refused_and_not_shown() {
    assert_eq!(
        problem("[databases.'mysql://app:secret@h']\nhost = 'h'"),
        "f:1:12: databases.***: an alias is a name, not an address: it cannot contain `://` or `@`"
    );
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_position() {
    assert_eq!(
        problem("[databases.db0]\nhost = 'h'\nport 3306\n"),
        "f:3:6: not TOML: key with no value, expected `=`"
    );
    assert_eq!(
        invalid("[databases.db0").iter().next().map(Problem::key),
        Some("")
    );
}

#[test]
fn duplicate_alias_is_refused() {
    assert_eq!(
        problem("[databases.db0]\nhost = 'h'\n[databases.db0]\nport = 1"),
        "f:3:12: not TOML: duplicate key"
    );
}

#[test]
fn only_syntax_errors_are_reported_if_there_are_any() {
    let text = "a = 1 2 3\n[databases.db0]\nnonsense = 1\nhost = \"h\n";
    let problems = problems(text);
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems[0].starts_with("f:1:5: not TOML: "),
        "{problems:#?}"
    );
    assert!(
        problems[1].starts_with("f:4:10: not TOML: "),
        "{problems:#?}"
    );
}

#[test]
fn line_with_several_syntax_errors_is_reported_once() {
    let problem = problem("[databases.db0]\nhost = 'h'\n!");
    assert!(problem.starts_with("f:3:1: not TOML: "), "{problem}");
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        problem("databases = { 'größe' = { host = '' } }"),
        "f:1:34: databases.\"größe\".host: empty: give a host name or an IP address"
    );
}

#[test]
fn problems_are_in_the_order_of_the_file() {
    let text = "\
        timezone = 'UTC'\n\
        [databases.z]\n\
        peers = ['db9', 'z', 7, 'a', 'a']\n\
        check_interval = '0s'\n\
        [databases.a]\n\
        host = ''\n\
        port = 0\n\
        [databases.m]\n\
        user = 'app'\n\
        [databases.n]\n\
        ";
    let places: Vec<(usize, usize, String)> = invalid(text)
        .iter()
        .map(|problem| {
            (
                problem.line().unwrap(),
                problem.column().unwrap(),
                problem.key().to_owned(),
            )
        })
        .collect();
    let expected = [
        (1, 1, "timezone"),
        (3, 10, "databases.z.peers[0]"),
        (3, 17, "databases.z.peers[1]"),
        (3, 22, "databases.z.peers[2]"),
        (3, 30, "databases.z.peers[4]"),
        (4, 18, "databases.z.check_interval"),
        (6, 8, "databases.a.host"),
        (7, 8, "databases.a.port"),
        (8, 12, "databases.m"),
        (10, 12, "databases.n"),
    ];
    let expected = expected.map(|(line, column, key)| (line, column, key.to_owned()));
    assert_eq!(places, expected);
}

#[test]
fn dotted_keys_and_inline_tables_are_equal() {
    let dotted = "databases.db0.host = 'h'\ndatabases.default.peers = ['db0']";
    let inline = "databases = { db0 = { host = 'h' }, default = { peers = ['db0'] } }";
    assert_eq!(
        Config::parse(dotted, "f").unwrap(),
        Config::parse(inline, "f").unwrap()
    );
}

#[test]
fn peers_and_balanced_databases_are_separate_and_sorted() {
    let text = "[databases.z]\nhost = 'z'\n[databases.y]\npeers = ['z', 'b']\n\
                [databases.b]\nurl = 'mysql://b'\n[databases.a]\npeers = ['z']\n\
                [databases.alone]\nhost = 'alone'";
    let config: Config = text.parse().unwrap();
    let peers: Vec<&str> = config.peers().map(|peer| peer.alias.as_str()).collect();
    assert_eq!(peers, ["alone", "b", "z"]);
    let balanced: Vec<&str> = config
        .balanced_databases()
        .map(|database| database.alias.as_str())
        .collect();
    assert_eq!(balanced, ["a", "y"]);
    assert!(config.peer("y").is_none() && config.balanced("z").is_none());
    assert_eq!(
        config.balanced("y").map(|database| &database.peers[0]),
        config.peer("z")
    );
}

#[test]
fn file_with_peers_only_is_valid() {
    let config: Config = "[databases.db0]\nhost = 'h'".parse().unwrap();
    assert_eq!(config.balanced_databases().count(), 0);
}

#[test]
fn integers_have_every_notation_of_toml() {
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
        let Address::Parts { port, .. } = config.peer("a").unwrap().address else {
            panic!("expected parts");
        };
        assert_eq!(port, 3306);
    }
}
