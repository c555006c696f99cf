//! Checks of this workspace that no published tool makes: `cargo xtask layout` of the source,
//! `cargo xtask test-names` of the tests that the documentation names.

#![forbid(unsafe_code)]

mod layout;
mod test_names;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["layout"] => layout::check(&workspace.join("crates")),
        ["test-names"] => test_names::check(&workspace),
        _ => {
            eprintln!("usage: cargo xtask layout | test-names");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in &problems {
                eprintln!("{problem}\n");
            }
            eprintln!("problems: {}", problems.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cannot check: {error}");
            ExitCode::FAILURE
        }
    }
}
