//! Bad files, and exactly what is said of each.
//!
//! Beside `bad/x.toml` or `bad/x.json` stands `bad/x.txt`: a line for each problem, and below them what
//! a person sees. The variables that there are stand in `bad/x.env`. `EVENHAND_BLESS=1` writes the
//! `.txt` files anew.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use evenhand_config::{Config, Error, Problems, Sources};

const DIRECTORY: &str = "tests/bad";

/// Every bad file, sorted.
fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let extension = path.extension().unwrap_or_default();
            extension == "toml" || extension == "json"
        })
        .collect();
    cases.sort();
    cases
}

/// Variables from lines of `NAME=value`.
fn variables(path: &Path) -> Sources {
    let text = fs::read_to_string(path.with_extension("env")).unwrap_or_default();
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    Sources::none()
        .variables(text.lines().map(pair))
        .files_in(DIRECTORY)
}

fn problems(path: &Path) -> Problems {
    let text = fs::read_to_string(path).unwrap();
    let origin = path.file_name().unwrap().to_str().unwrap();
    let sources = variables(path);
    let read = if path.extension().unwrap() == "json" {
        Config::parse_json_with(&text, origin, &sources)
    } else {
        Config::parse_with(&text, origin, &sources)
    };
    match read {
        Err(Error::Invalid(problems)) => problems,
        Ok(config) => config.warnings().clone(),
        Err(other) => panic!("{}: {other}", path.display()),
    }
}

#[test]
fn each_bad_file_is_told_exactly_what_is_wrong() {
    let bless = std::env::var_os("EVENHAND_BLESS").is_some();
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for path in cases {
        let problems = problems(&path);
        assert!(!problems.is_empty(), "{}: nothing is wrong", path.display());
        let said = format!("{problems}\n\n{}\n", problems.render());
        let expected = path.with_extension("txt");
        if bless {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("=== {}\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_that_is_said_of_a_bad_file_holds_a_secret() {
    for path in cases() {
        let problems = problems(&path);
        let said = format!(
            "{problems} {problems:?} {} {}",
            problems.render(),
            problems.render_styled()
        );
        assert!(!said.contains("s3cret"), "{}:\n{said}", path.display());
    }
}
