//! HTTP: what Evenhand costs beside hyper-util's client alone, and beside tonic's own balancer.

use std::time::Duration;

use evenhand_benches::counting::count;
use evenhand_benches::http::get::{self, measured};
use evenhand_benches::http::{server, unary};
use evenhand_benches::one_task::Run;
use evenhand_benches::rounds::{Timed, interleave};

use crate::table::Table;

/// Calls over which allocations are counted.
const COUNTED: u64 = 3000;

/// How long a round of each case takes.
const ROUND: Duration = Duration::from_millis(20);

/// Measures all of it.
pub(crate) fn compare(quick: bool) -> Vec<Table> {
    let rounds = if quick { 25 } else { 301 };
    let mut tables = gets(rounds);
    tables.extend(unary_calls(rounds));
    tables
}

/// Sends this number of requests of one row, for callgrind.
pub(crate) fn only(row: get::Row, calls: u64) {
    let mut run = get::set_up(row, &server::start_http());
    // Connections are opened first.
    run(COUNTED);
    measured(&mut run, calls);
    std::mem::forget(run);
}

fn gets(rounds: usize) -> Vec<Table> {
    let urls = server::start_http();
    let mut runs = get::Row::ALL.map(|row| get::set_up(row, &urls));
    let allocations = runs.each_mut().map(allocations);
    let cases = time(runs.into(), 10, rounds);

    let title = format!("A small GET, one task (median of {rounds} rounds)");
    let columns = ["µs", "allocations"].map(String::from);
    let mut costs = Table::new("http_get", title, columns, 2);
    for ((row, case), allocations) in get::Row::ALL.into_iter().zip(&cases).zip(allocations) {
        costs.row(row.name(), [case.median() / 1e3, allocations].map(Some));
    }
    let title = "A small GET: time as a share of hyper-util's alone";
    let names = get::Row::ALL.map(get::Row::name);
    let shares = shares("http_get_ratio", title, names, &cases, |case, base| {
        let [from, to] = case.middle_half_to(base);
        [case.ratio_to(base), from, to]
    });
    std::mem::forget(cases);
    vec![costs, shares]
}

fn unary_calls(rounds: usize) -> Vec<Table> {
    let servers = server::start_grpc();
    let runs = unary::Row::ALL.map(|row| unary::set_up(row, &servers.urls));
    let cases = time(runs.into(), unary::TASKS, rounds);

    let tasks = unary::TASKS;
    let title = format!("Unary calls of gRPC from {tasks} tasks (median of {rounds} rounds)");
    let mut costs = Table::new("grpc_unary", title, ["a second".to_owned()], 0);
    for (row, case) in unary::Row::ALL.into_iter().zip(&cases) {
        costs.row(row.name(), [Some(1e9 / case.median())]);
    }
    let title = "Unary calls of gRPC: speed as a share of balance_list's";
    let names = unary::Row::ALL.map(unary::Row::name);
    let shares = shares("grpc_unary_ratio", title, names, &cases, |case, base| {
        let [from, to] = base.middle_half_to(case);
        [base.ratio_to(case), from, to]
    });
    std::mem::forget((cases, servers));
    vec![costs, shares]
}

/// A table of what `share` says of each case and the first one.
fn shares<const N: usize>(
    key: &'static str,
    title: &str,
    names: [&str; N],
    cases: &[Timed],
    share: impl Fn(&Timed, &Timed) -> [f64; 3],
) -> Table {
    let title = format!("{title} (median of the rounds' ratios, and their middle half)");
    let columns = ["ratio", "from", "to"].map(String::from);
    let mut table = Table::new(key, title, columns, 2);
    for (name, case) in names.into_iter().zip(cases) {
        let figures = cases.first().map(|base| share(case, base));
        table.row(name, [0, 1, 2].map(|at| figures.map(|figures| figures[at])));
    }
    table
}

fn time(runs: Vec<Run>, step: u64, rounds: usize) -> Vec<Timed> {
    let timed = |run| Timed::new(run, ROUND, step);
    let mut group = vec![runs.into_iter().map(timed).collect::<Vec<_>>()];
    interleave(&mut group, rounds);
    group.into_iter().flatten().collect()
}

fn allocations(run: &mut Run) -> f64 {
    // Once beforehand: connections are opened, and what is made once a thread.
    run(COUNTED);
    let (_, counted) = count(|| run(COUNTED));
    counted.allocations as f64 / COUNTED as f64
}
