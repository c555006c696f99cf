//! Rules about a file as a whole. Those about one kind of value are tested in its room.

use crate::{Config, Error, Problem, Problems};

/// Everything that is wrong with a text that comes from `f`.
pub(super) fn problems(text: &str) -> Vec<String> {
    let problems = invalid(text);
    problems.iter().map(Problem::to_string).collect()
}

/// The only thing that is wrong with a text.
#[track_caller]
pub(super) fn problem(text: &str) -> String {
    let mut problems = problems(text);
    assert_eq!(problems.len(), 1, "expected one problem: {problems:#?}");
    problems.remove(0)
}

fn invalid(text: &str) -> Problems {
    match Config::parse(text, "f") {
        Err(Error::Invalid(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn a_file_without_databases_is_refused() {
    let missing =
        "f:1:1: databases: missing: name at least one database, such as `[databases.default]`";
    assert_eq!(problem(""), missing);
    assert_eq!(problem("# nothing here\n"), missing);
}

#[test]
fn an_empty_table_of_databases_is_refused() {
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
fn an_unknown_key_beside_the_databases_is_refused() {
    assert_eq!(
        problem("url = 'x'\n[databases.db0]\nhost = 'h'"),
        "f:1:1: url: unknown key `url`; the file has: databases, defaults"
    );
}

#[test]
fn a_slip_in_databases_is_reported_once() {
    assert_eq!(
        problem("[database.db0]\nhost = 'h'"),
        "f:1:2: database: unknown key `database` (did you mean `databases`?)"
    );
}

#[test]
fn an_empty_alias_is_refused() {
    assert_eq!(
        problem("[databases.'']\nhost = 'h'"),
        "f:1:12: databases.\"\": empty alias: give the database a name"
    );
}

#[test]
fn an_alias_that_is_an_address_is_refused_and_not_shown() {
    assert_eq!(
        problem("[databases.'mysql://app:secret@h']\nhost = 'h'"),
        "f:1:12: databases.***: an alias is a name, not an address: `://` and `@` cannot be in it"
    );
}

#[test]
fn a_text_that_is_not_toml_is_refused_with_the_position_of_the_parser() {
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
fn an_alias_that_is_defined_twice_is_refused() {
    assert_eq!(
        problem("[databases.db0]\nhost = 'h'\n[databases.db0]\nport = 1"),
        "f:3:12: not TOML: duplicate key"
    );
}

#[test]
fn lines_that_are_not_toml_are_reported_and_nothing_else_is() {
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
fn a_line_that_is_not_toml_is_reported_once_at_its_leftmost_mistake() {
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
fn everything_that_is_wrong_is_reported_in_the_order_of_the_file() {
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
fn dotted_keys_and_inline_tables_are_the_same_file() {
    let dotted = "databases.db0.host = 'h'\ndatabases.default.peers = ['db0']";
    let inline = "databases = { db0 = { host = 'h' }, default = { peers = ['db0'] } }";
    assert_eq!(
        Config::parse(dotted, "f").unwrap(),
        Config::parse(inline, "f").unwrap()
    );
}
