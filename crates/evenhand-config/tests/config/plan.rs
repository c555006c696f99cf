//! What a plan holds, and what its documentation says of it.

use std::path::Path;

use super::*;
use crate::{Error, Problem};

const README: &str = include_str!("../../README.md");

/// The fenced block of the README that begins with `start`.
fn block(start: &str) -> &'static str {
    let blocks = README.split("```").skip(1).step_by(2);
    let mut matching = blocks.filter_map(|block| {
        let (_, text) = block.split_once('\n')?;
        text.starts_with(start).then_some(text)
    });
    matching.next().unwrap()
}

/// The default that the README's table gives for a key.
fn documented_default(key: &str) -> &'static str {
    let row = README
        .lines()
        .find(|line| line.starts_with(&format!("| `{key}` |")))
        .unwrap();
    row.trim_end_matches(" |").rsplit(" | ").next().unwrap()
}

#[test]
fn the_documented_defaults_are_the_constants() {
    let interval = humantime::format_duration(DEFAULT_CHECK_INTERVAL);
    assert_eq!(
        documented_default("check_interval"),
        format!("`\"{interval}\"`")
    );
    let in_table = |key| crate::keys::find(key).map(|key| key.default);
    assert_eq!(in_table("check_interval"), Some(&*interval.to_string()));
    assert_eq!(in_table("port"), Some(&*DEFAULT_PORT.to_string()));
    assert!(README.contains(&format!("required; `{DEFAULT_PORT}`")));
    let most = humantime::format_duration(MAX_CHECK_INTERVAL);
    assert!(README.contains(&format!("above zero, at most `\"{most}\"`")));

    let text = "[databases.a]\nhost = 'h'\n[databases.d]\npeers = ['a']";
    let config: Config = text.parse().unwrap();
    let database = config.balanced("d").unwrap();
    assert_eq!(database.check_interval, DEFAULT_CHECK_INTERVAL);
    let Address::Parts { port, .. } = database.peers[0].address else {
        panic!("expected parts");
    };
    assert_eq!(port, DEFAULT_PORT);
}

#[test]
fn the_file_in_the_readme_is_valid() {
    let config = Config::parse(block("[databases.db0]      "), "evenhand.toml").unwrap();
    assert_eq!(
        config.balanced("default").unwrap().check_interval,
        Duration::from_secs(10)
    );
}

#[test]
fn the_errors_in_the_readme_are_those_of_its_file() {
    let error = Config::parse(block("[databases.db0]\n"), "evenhand.toml").unwrap_err();
    assert_eq!(error.to_string(), block("evenhand.toml:").trim_end());
    let report = error.report();
    assert!(report.contains(block("error: ").trim_end()), "{report}");
}

#[test]
fn the_dictionary_in_the_readme_is_valid() {
    let config = Config::parse_json(block("{"), "settings.json").unwrap();
    assert!(config.warnings().is_empty());
    assert_eq!(config.balanced("default").unwrap().peers.len(), 2);
}

#[test]
fn peers_and_balanced_databases_are_apart_and_sorted() {
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
fn a_file_of_peers_alone_is_valid() {
    let config: Config = "[databases.db0]\nhost = 'h'".parse().unwrap();
    assert_eq!(config.balanced_databases().count(), 0);
}

#[test]
fn a_text_without_a_file_is_called_inline() {
    let Err(Error::Invalid(problems)) = "".parse::<Config>() else {
        panic!("expected problems");
    };
    assert_eq!(
        problems.iter().next().map(Problem::origin),
        Some("<inline>")
    );
}

#[test]
fn a_file_is_read_and_named_in_its_errors() {
    let path = std::env::temp_dir().join(format!("evenhand-config-{}.toml", std::process::id()));
    std::fs::write(&path, "[databases.db0]\nhost = 'h'").unwrap();
    let valid = Config::load(&path);
    std::fs::write(&path, "[databases.db0]\nhost = ''").unwrap();
    let invalid = Config::load(&path);
    std::fs::write(&path, b"[databases.db0]\nhost = '\xff'").unwrap();
    let not_utf8 = Config::load(&path);
    std::fs::remove_file(&path).unwrap();

    assert!(valid.unwrap().peer("db0").is_some());
    let shown = invalid.unwrap_err().to_string();
    assert!(
        shown.starts_with(&format!("{}:2:8: ", path.display())),
        "{shown}"
    );
    assert!(matches!(not_utf8, Err(Error::Read { .. })), "{not_utf8:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_cause() {
    let error = Config::load("no/such/evenhand.toml").unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.starts_with("no/such/evenhand.toml: cannot be read: "),
        "{shown}"
    );
    let Error::Read { path, source } = error else {
        panic!("expected a read error");
    };
    assert_eq!(path, Path::new("no/such/evenhand.toml"));
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}
