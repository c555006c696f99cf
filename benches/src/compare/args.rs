//! What the command line asks for.

use evenhand_benches::http::get;
use evenhand_benches::mysql::checkout;
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
    compare --mysql [--quick] [--json]    the MySQL pool beside the driver's, on MariaDB and HAProxy
    compare --outage [--quick] [--json]   one of two MariaDB servers is lost, under load
    compare --mysql-only ROW --calls M    M checkouts, for benches/instructions-mysql.sh
    compare --http [--quick] [--json]     evenhand-http beside hyper-util's client and tonic's balancer
    compare --http-only ROW --calls M     M requests, for benches/instructions-http.sh

    --quick    fewer rounds, in under 10 s: for a look, not for a figure
    --json     for programs";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Compare,
    Storm,
    Only { row: Row, peers: usize, calls: u64 },
    MySql,
    Outage,
    MySqlOnly { row: checkout::Row, calls: u64 },
    Http,
    HttpOnly { row: get::Row, calls: u64 },
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
        let (mut quick, mut json) = (false, false);
        let mut whole = Task::Compare;
        let (mut only, mut mysql_only, mut http_only) = (None, None, None);
        let (mut peers, mut calls) = (10, 1_000_000);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("quick") => quick = true,
                Long("json") => json = true,
                Long("storm") => whole = Task::Storm,
                Long("mysql") => whole = Task::MySql,
                Long("outage") => whole = Task::Outage,
                Long("only") => {
                    let name = parser.value()?.string()?;
                    let row = Row::named(&name);
                    only = Some(row.ok_or_else(|| unknown(&name, Row::ONE_TASK.map(Row::name)))?);
                }
                Long("mysql-only") => {
                    let name = parser.value()?.string()?;
                    let names = checkout::Row::ALL.map(checkout::Row::name);
                    let row = checkout::Row::named(&name);
                    mysql_only = Some(row.ok_or_else(|| unknown(&name, names))?);
                }
                Long("http") => whole = Task::Http,
                Long("http-only") => {
                    let name = parser.value()?.string()?;
                    let row = get::Row::named(&name);
                    http_only =
                        Some(row.ok_or_else(|| unknown(&name, get::Row::ALL.map(get::Row::name)))?);
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
        let task = match (only, mysql_only, http_only) {
            (Some(_), ..) if peers == 0 => return Err("--peers must be at least 1".into()),
            (Some(row), ..) => Task::Only { row, peers, calls },
            (None, Some(row), _) => Task::MySqlOnly { row, calls },
            (None, None, Some(row)) => Task::HttpOnly { row, calls },
            (None, None, None) => whole,
        };
        Ok(Self { task, quick, json })
    }
}

fn unknown<const N: usize>(name: &str, rows: [&str; N]) -> lexopt::Error {
    let rows = rows.join(", ");
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
        for row in checkout::Row::ALL {
            let args = parse(&["--mysql-only", row.name(), "--calls", "5"]).unwrap();
            assert_eq!(args.task, Task::MySqlOnly { row, calls: 5 });
        }
        assert!(parse(&["--mysql-only", "p2c"]).is_err());
        for row in get::Row::ALL {
            let args = parse(&["--http-only", row.name(), "--calls", "5"]).unwrap();
            assert_eq!(args.task, Task::HttpOnly { row, calls: 5 });
        }
        assert!(parse(&["--http-only", "p2c"]).is_err());
    }

    #[test]
    fn every_comparison_can_be_asked_for() {
        for (args, task) in [
            (vec![], Task::Compare),
            (vec!["--storm"], Task::Storm),
            (vec!["--mysql"], Task::MySql),
            (vec!["--http"], Task::Http),
            (vec!["--outage", "--quick", "--json"], Task::Outage),
        ] {
            let flags = args.len() > 1;
            let args = parse(&args).unwrap();
            assert_eq!(args.task, task);
            assert_eq!((args.quick, args.json), (flags, flags));
        }
    }
}
