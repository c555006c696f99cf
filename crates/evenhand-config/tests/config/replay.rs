//! No text makes reading panic, or report a place outside the text.
//!
//! Reads every fixture and every file of `tests/corpus`, which has inputs that once failed, in both formats. Then
//! reads 20 000 mutations of them, or as many as fit into a given time:
//! `EVENHAND_SECONDS=300 cargo test --release -p evenhand-config --test config -- replay --nocapture`. `fuzz/` does
//! the same with coverage as a guide.

use std::fs;
use std::time::{Duration, Instant};

use evenhand_config::{Config, Error, Problems, Severity, Sources};

/// Texts that mutations insert.
const PIECES: [&str; 48] = [
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "\\",
    "{",
    "}",
    ":",
    "\u{0}",
    "ß",
    "\u{feff}",
    "-1",
    "0",
    "1.5e9",
    "99999999999999999999",
    "true",
    "null",
    "1979-05-27",
    "''",
    "db0",
    "default",
    "peers",
    "host",
    "url",
    "password",
    "password_env",
    "tls_ca",
    "min_up",
    "101%",
    "probe",
    "query",
    "none",
    "://",
    "@",
    "%",
    "ENGINE",
    "OPTIONS",
    "mysql",
    "proxysql",
    "__",
    "\nEVENHAND__DATABASES__DEFAULT__PROBE__QUERY=x",
    "18446744073709551615s 1000ms",
];

/// SplitMix64, so that every run has the same mutations.
struct Generator(u64);

impl Generator {
    fn index(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % bound as u64) as usize
    }

    fn mutate(&mut self, text: &str, other: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=self.index(4) {
            let from = self.index(letters.len() + 1);
            let to = (from + self.index(12)).min(letters.len());
            let piece = PIECES[self.index(PIECES.len())].chars();
            match self.index(6) {
                0 => drop(letters.drain(from..to)),
                1 => letters.truncate(from.max(1)),
                2 => drop(letters.splice(from..to, piece)),
                3 => {
                    let twice = letters[from..to].to_vec();
                    drop(letters.splice(to..to, twice));
                }
                4 if self.index(8) == 0 => {
                    let half = other.chars().skip(self.index(other.len() + 1));
                    letters.truncate(from);
                    letters.extend(half);
                }
                _ => drop(letters.splice(from..from, piece)),
            }
        }
        letters.into_iter().collect()
    }
}

/// Every fixture, with the variables of a bad file after a NUL.
fn inputs() -> Vec<String> {
    let mut inputs = Vec::new();
    for directory in ["tests/good", "tests/bad", "tests/corpus"] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().unwrap_or_default();
            if path.is_dir() || extension == "txt" || extension == "env" {
                continue;
            }
            let text = fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&text);
            let variables = fs::read_to_string(path.with_extension("env"));
            inputs.push(match variables {
                Ok(variables) => format!("{text}\0{variables}"),
                Err(_) => text.into_owned(),
            });
        }
    }
    inputs.sort();
    assert!(inputs.len() > 100, "{} inputs", inputs.len());
    inputs
}

/// Reads a text in both formats, and returns whether it is valid in either.
fn read(input: &str, render: bool) -> bool {
    let (text, variables) = input.split_once('\0').unwrap_or((input, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let sources = Sources::none().variables(variables);
    let toml = check(text, sources.parse(text, "f"), render);
    let json = check(text, sources.parse_json(text, "f"), render);
    toml || json
}

fn check(text: &str, result: Result<Config, Error>, render: bool) -> bool {
    match result {
        Ok(config) => {
            let mut all = config.balanced_databases();
            assert!(all.all(|database| !database.peers.is_empty()), "{text}");
            let warning = |severity| severity == Severity::Warning;
            let mut warnings = config.warnings().iter();
            assert!(
                warnings.all(|problem| warning(problem.severity())),
                "{text}"
            );
            true
        }
        Err(Error::Invalid(problems)) => {
            let wrong = |severity| severity == Severity::Error;
            let mut all = problems.iter();
            assert!(
                all.any(|problem| wrong(problem.severity())),
                "no reason:\n{text}"
            );
            places(text, &problems);
            if render {
                assert!(!problems.render().is_empty());
                // As a value. A mutation can make it a key, which is shown.
                assert!(!problems.to_string().contains(":s3cret@"), "{text}");
            }
            false
        }
        Err(other) => panic!("{other}"),
    }
}

fn places(text: &str, problems: &Problems) {
    let lines = text.split('\n').count();
    for problem in problems {
        if let (Some(line), Some(span)) = (problem.line(), problem.span()) {
            assert!((1..=lines).contains(&line), "{problem}\n{text}");
            assert!(
                span.start <= span.end && span.end <= text.len(),
                "{problem}\n{text}"
            );
        } else {
            assert!(problem.variable().is_some(), "{problem}\n{text}");
        }
    }
}

#[test]
fn fixtures_and_corpus_are_read() {
    for input in inputs() {
        read(&input, true);
        // Truncated anywhere.
        for (at, _) in input.char_indices().step_by(7) {
            read(&input[..at], false);
        }
    }
}

#[test]
fn mutated_fixtures_are_read_without_a_panic() {
    let seconds = std::env::var("EVENHAND_SECONDS").map_or(0, |text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds);
    let inputs = inputs();
    let mut generator = Generator(42 ^ seconds);
    let (mut rounds, mut valid) = (0_u64, 0_u64);
    while rounds < 20_000 || Instant::now() < until {
        let input = &inputs[generator.index(inputs.len())];
        let other = &inputs[generator.index(inputs.len())];
        valid += u64::from(read(&generator.mutate(input, other), rounds % 8 == 0));
        rounds += 1;
    }
    println!("{rounds} inputs, {valid} valid");
    // Otherwise, the mutations change too much or too little.
    assert!(
        (rounds / 100..rounds / 2).contains(&valid),
        "{valid} of {rounds} valid"
    );
}
