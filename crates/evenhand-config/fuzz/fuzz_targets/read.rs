//! Reads any text as TOML and as Django's JSON, with environment variables after a NUL. The result is a
//! configuration, or problems with places in the text that can be shown. Nothing panics.
//!
//! Run `cargo +nightly fuzz run read fuzz/corpus tests/corpus tests/good tests/bad` in the directory of the crate.

#![no_main]

use evenhand_config::{Config, Error, Problems, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (text, variables) = text.split_once('\0').unwrap_or((text, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let sources = Sources::none().variables(variables);
    check(text, sources.parse(text, "f"));
    check(text, sources.parse_json(text, "f"));
});

fn check(text: &str, result: Result<Config, Error>) {
    match result {
        Ok(config) => {
            let mut databases = config.balanced_databases();
            assert!(databases.all(|database| !database.peers.is_empty()));
            check_problems(text, config.warnings());
            let _ = format!("{config:?}");
        }
        Err(Error::Invalid(problems)) => {
            assert!(!problems.is_empty());
            check_problems(text, &problems);
        }
        Err(other) => panic!("{other}"),
    }
}

fn check_problems(text: &str, problems: &Problems) {
    let lines = text.split('\n').count();
    for problem in problems {
        match (problem.span(), problem.line()) {
            (Some(span), Some(line)) => {
                assert!(span.start <= span.end && span.end <= text.len());
                assert!((1..=lines).contains(&line));
            }
            _ => assert!(problem.variable().is_some()),
        }
    }
    assert_eq!(problems.to_string().is_empty(), problems.is_empty());
    assert_eq!(problems.render().is_empty(), problems.is_empty());
}
