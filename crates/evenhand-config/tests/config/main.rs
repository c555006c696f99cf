//! Reading configuration files.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bad;
mod durations;
mod files;
mod good;
mod inheritance;
mod kubernetes;
mod load;
mod peers;
mod readme;
mod reference;
mod replay;
mod schema;
mod secrets;
mod variables;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use evenhand_config::{Address, Config, Error, Peer, Problem, Problems, Secret, Settings};

/// The problems of a text with the origin `f`.
fn invalid(text: &str) -> Problems {
    match Config::parse(text, "f") {
        Err(Error::Invalid(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

/// The problems of a text with the origin `f`, a line each.
fn problems(text: &str) -> Vec<String> {
    invalid(text).iter().map(Problem::to_string).collect()
}

/// The only problem of a text with the origin `f`.
#[track_caller]
fn problem(text: &str) -> String {
    let mut problems = problems(text);
    assert_eq!(problems.len(), 1, "expected one problem: {problems:#?}");
    problems.remove(0)
}

/// The files in a directory with one of these extensions, sorted.
fn files(directory: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let extension = path.extension().unwrap_or_default();
            extensions.iter().any(|wanted| extension == *wanted)
        })
        .collect();
    files.sort();
    files
}

/// Compares a file with its expected text. With `EVENHAND_BLESS` in the environment, writes the file.
fn assert_file(path: &str, expected: &str) {
    if std::env::var_os("EVENHAND_BLESS").is_some() {
        fs::write(path, expected).unwrap();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(
        text == expected,
        "{path} is out of date: run `EVENHAND_BLESS=1 cargo test -p evenhand-config --test config`"
    );
}

/// Host, port, user, password and name.
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

/// Settings with some fields set.
fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}
