//! Checks of this workspace that no published tool makes: `cargo xtask layout`.

#![forbid(unsafe_code)]

mod layout;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["layout"] {
        eprintln!("usage: cargo xtask layout");
        return ExitCode::from(2);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
    let crates = workspace.join("crates");
    match layout::check(&crates) {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in &problems {
                eprintln!("{problem}\n");
            }
            eprintln!("problems with the layout of the source: {}", problems.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cannot check the layout: {error}");
            ExitCode::FAILURE
        }
    }
}
