//! The command line.
//!
//! Everything has a default, so the demo runs without arguments. An argument that is not understood
//! is an error that lists what is.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short};
use lexopt::{Parser, ValueExt};

use crate::Failure;

pub(crate) const HELP: &str = "\
Reads from three MySQL servers at a steady rate while two of them fail, and shows who answers.

Usage: cargo run --example failover [-- OPTIONS]

  --real             three real mariadbd processes in place of fakes in this process
  --config FILE      the peers of your own evenhand.toml; nothing is killed there
  --database ALIAS   which balanced database of that file (\"default\", or the only one)
  --seconds N        how long, 1 to 86400 (12)
  --rate N           reads a second, 1 to 10000 (400)
  --svg FILE         also draw the run as a chart, into this file
  --help             this text

It exits with 0 if no read failed, with 1 if one did, and with 2 if it could not run.";

const SECONDS: RangeInclusive<u32> = 1..=86_400;
const RATE: RangeInclusive<u32> = 1..=10_000;

pub(crate) struct Args {
    pub(crate) peers: WhichPeers,
    pub(crate) seconds: u32,
    /// Reads a second.
    pub(crate) rate: u32,
    /// Where the chart goes, if one is wanted.
    pub(crate) svg: Option<PathBuf>,
}

pub(crate) enum WhichPeers {
    /// Doubles inside this process.
    Embedded,
    /// Processes of `mariadbd`.
    Real,
    /// The user's own.
    Config {
        file: PathBuf,
        database: Option<String>,
    },
}

impl Args {
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// Parses the command line; `None` if it asks for help.
    pub(crate) fn parse() -> Result<Option<Self>, Failure> {
        let mut parser = Parser::from_env();
        let (mut seconds, mut rate) = (12, 400);
        let (mut real, mut config, mut database, mut svg) = (false, None, None, None);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("real") => real = true,
                Long("config") => config = Some(PathBuf::from(parser.value()?)),
                Long("database") => database = Some(parser.value()?.string()?),
                Long("seconds") => seconds = number(&mut parser, "--seconds", SECONDS)?,
                Long("svg") => svg = Some(PathBuf::from(parser.value()?)),
                Long("rate") => rate = number(&mut parser, "--rate", RATE)?,
                Long("help") | Short('h') => return Ok(None),
                _ => return Err(format!("{}\n\n{HELP}", arg.unexpected()).into()),
            }
        }
        let peers = match (real, config, database) {
            (true, Some(_), _) => return Err("--real and --config exclude each other".into()),
            (_, None, Some(_)) => return Err("--database needs --config FILE".into()),
            (true, None, None) => WhichPeers::Real,
            (false, None, None) => WhichPeers::Embedded,
            (false, Some(file), database) => WhichPeers::Config { file, database },
        };
        Ok(Some(Self {
            peers,
            seconds,
            rate,
            svg,
        }))
    }
}

fn number(parser: &mut Parser, option: &str, range: RangeInclusive<u32>) -> Result<u32, Failure> {
    let value = parser.value()?.string()?;
    match value.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "{option} {value}: expected a whole number from {} to {}",
            range.start(),
            range.end()
        )
        .into()),
    }
}
