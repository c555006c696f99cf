//! Any text, read as TOML and as Django's JSON, with variables of the environment behind a NUL: there is
//! a plan or there are problems with places in the text, they can be shown, and nothing panics.
//!
//! `cargo +nightly fuzz run read fuzz/corpus tests/corpus tests/good tests/bad`, in this crate's folder.

#![no_main]

use evenhand_config::{Config, Error, Problems, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (text, variables) = text.split_once('\0').unwrap_or((text, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let sources = Sources::none().variables(variables);
    check(text, Config::parse_with(text, "f", &sources));
    check(text, Config::parse_json_with(text, "f", &sources));
});

fn check(text: &str, read: Result<Config, Error>) {
    match read {
        Ok(config) => {
            assert!(
                config
                    .balanced_databases()
                    .all(|database| !database.peers.is_empty())
            );
            shown(text, config.warnings());
            let _ = format!("{config:?}");
        }
        Err(Error::Invalid(problems)) => {
            assert!(!problems.is_empty());
            shown(text, &problems);
        }
        Err(other) => panic!("{other}"),
    }
}

fn shown(text: &str, problems: &Problems) {
    let lines = text.split('\n').count();
    for problem in problems {
        match problem.span() {
            Some(span) => {
                assert!(span.start <= span.end && span.end <= text.len());
                assert!(
                    problem
                        .line()
                        .is_some_and(|line| (1..=lines).contains(&line))
                );
            }
            None => assert!(problem.variable().is_some()),
        }
    }
    assert_eq!(problems.to_string().is_empty(), problems.is_empty());
    assert_eq!(problems.render().is_empty(), problems.is_empty());
}
