//! What the command line asks for.

use evenhand_benches::row::Row;
use lexopt::Parser;
use lexopt::prelude::*;

/// Printed by `--help`.
pub(crate) const HELP: &str = "\
Evenhand beside tower's own balancer, in one process, interleaved.

    compare [--quick] [--json]            time, allocations and memory
    compare --storm [--quick] [--json]    half of the peers refuse, under load
    compare --only ROW --peers N --calls M
                                          sets one row up and makes M calls, for callgrind:
                                          benches/instructions.sh does the sums

    --quick    fewer rounds, in under 10 s: for a look, not for a figure
    --json     for programs";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Compare,
    Storm,
    Only { row: Row, peers: usize, calls: u64 },
}

/// The command line, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) task: Task,
    pub(crate) quick: bool,
    pub(crate) json: bool,
}

impl Args {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let (mut quick, mut json, mut storm) = (false, false, false);
        let (mut only, mut peers, mut calls) = (None, 10, 1_000_000);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("quick") => quick = true,
                Long("json") => json = true,
                Long("storm") => storm = true,
                Long("only") => {
                    let name = parser.value()?.string()?;
                    let row = Row::named(&name).ok_or_else(|| unknown(&name))?;
                    only = Some(row);
                }
                Long("peers") => peers = parser.value()?.parse()?,
                Long("calls") => calls = parser.value()?.parse()?,
                Long("help") | Short('h') => {
                    return Ok(Self {
                        task: Task::Help,
                        quick,
                        json,
                    });
                }
                arg => return Err(arg.unexpected()),
            }
        }
        let task = match only {
            Some(_) if peers == 0 => return Err("--peers must be at least 1".into()),
            Some(row) => Task::Only { row, peers, calls },
            None if storm => Task::Storm,
            None => Task::Compare,
        };
        Ok(Self { task, quick, json })
    }
}

fn unknown(name: &str) -> lexopt::Error {
    let rows = Row::ONE_TASK.map(Row::name).join(", ");
    format!("no row is named `{name}`; there are {rows}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, lexopt::Error> {
        Args::parse(Parser::from_args(args))
    }

    #[test]
    fn every_row_can_be_asked_for() {
        for row in Row::ONE_TASK {
            let args = parse(&["--only", row.name(), "--peers", "3", "--calls", "5"]).unwrap();
            let expected = Task::Only {
                row,
                peers: 3,
                calls: 5,
            };
            assert_eq!(args.task, expected);
        }
        assert!(parse(&["--only", "nothing"]).is_err());
        assert!(parse(&["--only", "p2c", "--peers", "0"]).is_err());
    }
}
