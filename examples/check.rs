//! Are all peers online? Asks every peer of every database of a config file at once.
//!
//!     cargo run --example check -- evenhand.toml
//!
//! Ends with 0 if all are, with 1 if not, and with 2 if the file is wrong.

use std::process::ExitCode;
use std::time::Duration;

use evenhand_mysql::Databases;
use evenhand_mysql::evenhand_config::Config;

/// All peers are asked at the same time.
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: check FILE");
        return ExitCode::from(2);
    };
    let config = match Config::load(&file) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{}", error.report());
            return ExitCode::from(2);
        }
    };
    if !config.warnings().is_empty() {
        eprintln!("{}", config.warnings().render());
    }
    let databases = match Databases::open(&config) {
        Ok(databases) => databases,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let report = databases.check(LIMIT).await;
    println!("{report}");
    match report.all_online() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
