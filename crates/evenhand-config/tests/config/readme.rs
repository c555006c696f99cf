//! The README.

use std::time::Duration;

use evenhand_config::{
    Address, Config, DEFAULT_CHECK_INTERVAL, DEFAULT_PORT, MAX_CHECK_INTERVAL, keys,
};

const README: &str = include_str!("../../README.md");

/// The code block of the README that begins with `start`.
fn block(start: &str) -> &'static str {
    let blocks = README.split("```").skip(1).step_by(2);
    let mut matching = blocks.filter_map(|block| {
        let (_, text) = block.split_once('\n')?;
        text.starts_with(start).then_some(text)
    });
    matching.next().unwrap()
}

/// The default of a key in the README's table.
fn documented_default(key: &str) -> &'static str {
    let row = README
        .lines()
        .find(|line| line.starts_with(&format!("| `{key}` |")))
        .unwrap();
    row.trim_end_matches(" |").rsplit(" | ").next().unwrap()
}

#[test]
fn documented_defaults_are_the_constants() {
    let interval = humantime::format_duration(DEFAULT_CHECK_INTERVAL);
    assert_eq!(
        documented_default("check_interval"),
        format!("`\"{interval}\"`")
    );
    let in_table = |key| {
        keys()
            .iter()
            .find(|known| known.name == key)
            .map(|key| key.default)
    };
    assert_eq!(in_table("check_interval"), Some(&*interval.to_string()));
    assert_eq!(in_table("port"), Some(&*DEFAULT_PORT.to_string()));
    assert!(README.contains(&format!("required; `{DEFAULT_PORT}`")));
    let most = humantime::format_duration(MAX_CHECK_INTERVAL);
    assert!(README.contains(&format!("above zero, at most `\"{most}\"`")));

    let text = "[databases.a]\nhost = 'h'\n[databases.d]\npeers = ['a']";
    let config: Config = text.parse().unwrap();
    let database = config.balanced("d").unwrap();
    assert_eq!(database.check_interval(), DEFAULT_CHECK_INTERVAL);
    let Address::Parts { port, .. } = database.peers[0].address else {
        panic!("expected parts");
    };
    assert_eq!(port, DEFAULT_PORT);
}

#[test]
fn file_in_the_readme_is_valid() {
    let config = Config::parse(block("[databases.db0]      "), "evenhand.toml").unwrap();
    assert_eq!(
        config.balanced("default").unwrap().check_interval(),
        Duration::from_secs(10)
    );
}

#[test]
fn errors_in_the_readme_are_those_of_its_file() {
    let error = Config::parse(block("[databases.db0]\n"), "evenhand.toml").unwrap_err();
    assert_eq!(error.to_string(), block("evenhand.toml:").trim_end());
    let report = error.report();
    assert!(report.contains(block("error: ").trim_end()), "{report}");
}

#[test]
fn dictionary_in_the_readme_is_valid() {
    let config = Config::parse_json(block("{"), "settings.json").unwrap();
    assert!(config.warnings().is_empty());
    assert_eq!(config.balanced("default").unwrap().peers.len(), 2);
}
