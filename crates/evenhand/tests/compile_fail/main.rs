//! What the compiler says to code that does not fit together: each case with a line `//~ text` must
//! fail with that text, and each without one must compile.
//!
//! The texts are this crate's own, by `#[diagnostic::on_unimplemented]`, or the types and codes that
//! any compiler has to name, so they do not depend on its version. The cases are binaries of one package, which is made
//! under `target/tmp` and checked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What the compiler said of each case, and which cases it accepted.
struct Said {
    errors: BTreeMap<String, String>,
    compiled: BTreeSet<String>,
    all: String,
}

fn cases() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail/cases");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = files
        .map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), file))
        .collect();
    cases.sort();
    cases
}

fn check(cases: &[(String, PathBuf)]) -> Said {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let sources = package.join("src/bin");
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir_all(&sources).unwrap();
    for (name, file) in cases {
        fs::copy(file, sources.join(format!("{name}.rs"))).unwrap();
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = format!(
        "[package]\nname = \"cases\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         evenhand = {{ path = {own:?} }}\n\
         tower = {{ version = \"0.5.2\", features = [\"timeout\", \"util\"] }}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The versions that the tests run with are there already.
    let _ = fs::copy(own.join("../../Cargo.lock"), package.join("Cargo.lock"));
    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--bins",
            "--keep-going",
            "--offline",
            "--message-format=json",
        ])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let mut said = Said {
        errors: BTreeMap::new(),
        compiled: BTreeSet::new(),
        all: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        let name = message["target"]["name"].as_str().unwrap_or_default();
        match message["reason"].as_str() {
            Some("compiler-artifact") => {
                said.compiled.insert(name.to_owned());
            }
            Some("compiler-message") if message["message"]["level"] == "error" => {
                let text = message["message"]["rendered"].as_str().unwrap_or_default();
                said.errors
                    .entry(name.to_owned())
                    .or_default()
                    .push_str(text);
            }
            _ => {}
        }
    }
    said
}

#[test]
fn compiler_says_what_is_missing() {
    let cases = cases();
    assert!(
        cases.len() >= 12,
        "a case for each mistake, and one for its remedy"
    );
    let said = check(&cases);
    let mut problems = Vec::new();
    for (name, file) in &cases {
        let source = fs::read_to_string(file).unwrap();
        let expected: Vec<&str> = source
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("//~ "))
            .collect();
        let errors = said.errors.get(name).map_or("", String::as_str);
        if expected.is_empty() && !said.compiled.contains(name) {
            problems.push(format!("{name} does not compile:\n{errors}"));
        }
        if !expected.is_empty() && said.compiled.contains(name) {
            problems.push(format!("{name} compiles"));
        }
        // Long lines of a message are not broken, but types in it may be.
        for text in expected.iter().filter(|text| !errors.contains(**text)) {
            problems.push(format!("{name} lacks `{text}`:\n{errors}"));
        }
    }
    if said.compiled.is_empty() {
        problems.push(said.all);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
