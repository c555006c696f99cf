//! Bad files, and the exact errors and warnings for each.
//!
//! `tests/bad/x.txt` has those of `x.toml` or `x.json`: one line for each, then the rendered report. `x.env` has
//! environment variables. `EVENHAND_BLESS=1` rewrites the `.txt` files.

use std::fs;
use std::path::{Path, PathBuf};

use evenhand_config::{Error, Problems, Sources};

use crate::files;

const DIRECTORY: &str = "tests/bad";

fn cases() -> Vec<PathBuf> {
    files(DIRECTORY, &["toml", "json"])
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
        sources.parse_json(&text, origin)
    } else {
        sources.parse(&text, origin)
    };
    match read {
        Err(Error::Invalid(problems)) => problems,
        Ok(config) => config.warnings().clone(),
        Err(other) => panic!("{}: {other}", path.display()),
    }
}

#[test]
fn bad_files_have_exactly_the_expected_problems() {
    let update = std::env::var_os("EVENHAND_BLESS").is_some();
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for path in cases {
        let problems = problems(&path);
        assert!(!problems.is_empty(), "{}: nothing is wrong", path.display());
        let shown = format!("{problems}\n\n{}\n", problems.render());
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &shown).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(format!("=== {}\n{shown}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn problems_of_bad_files_show_no_secret() {
    for path in cases() {
        let problems = problems(&path);
        let shown = format!(
            "{problems} {problems:?} {} {}",
            problems.render(),
            problems.render_styled()
        );
        assert!(!shown.contains("s3cret"), "{}:\n{shown}", path.display());
    }
}
