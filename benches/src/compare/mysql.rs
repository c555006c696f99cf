//! The MySQL pool beside the driver's own: checkouts, queries, and a hop in between.

use std::time::Duration;

use evenhand_benches::counting::count;
use evenhand_benches::mysql::checkout::{self, measured};
use evenhand_benches::mysql::query::Protocol;
use evenhand_benches::mysql::{held, hop, query, server};
use evenhand_benches::one_task::Run;
use evenhand_benches::rounds::{Timed, interleave, median, middle_half};
use evenhand_testkit::HaProxy;

use crate::table::Table;

/// Calls over which allocations are counted.
const COUNTED: u64 = 1000;

/// How long a round of each case takes: short, as the servers' share of a busy machine comes and
/// goes within tens of milliseconds.
const ROUND: Duration = Duration::from_millis(3);

/// The columns of a ratio and its spread.
const SPREAD: [&str; 3] = ["ratio", "from", "to"];

/// Measures all of it.
pub(crate) fn compare(quick: bool) -> Vec<Table> {
    let rounds = if quick { 25 } else { 501 };
    let mut tables = checkouts(rounds);
    tables.extend(held(if quick { 3 } else { 40 }));
    tables.extend(queries(rounds));
    tables.extend(hops(rounds));
    tables
}

/// Runs this number of checkouts of one row, for callgrind.
pub(crate) fn only(row: checkout::Row, calls: u64) {
    let server = server::start(1);
    for server in &server {
        let mut run = checkout::set_up(row, &server::url(server.addr()));
        // Connections are opened first.
        run(COUNTED);
        measured(&mut run, calls);
        std::mem::forget(run);
    }
}

fn checkouts(rounds: usize) -> Vec<Table> {
    let servers = server::start(1);
    let urls = servers.iter().map(|server| server::url(server.addr()));
    let mut runs: Vec<Run> = urls
        .flat_map(|url| checkout::Row::ALL.map(|row| checkout::set_up(row, &url)))
        .collect();
    let allocations: Vec<f64> = runs.iter_mut().map(allocations).collect();
    let cases = time(runs, 10, rounds);

    let title = format!("Checkout and return (median of {rounds} rounds)");
    let columns = ["ns", "allocations"].map(String::from);
    let mut costs = Table::new("mysql_checkout", title, columns, 1);
    let title = "Checkout and return: time as a share of the driver's own pool's \
                 (median of the rounds' ratios, and their middle half)";
    let mut shares = Table::new("mysql_checkout_ratio", title, SPREAD.map(String::from), 2);
    for ((row, case), allocations) in checkout::Row::ALL.into_iter().zip(&cases).zip(allocations) {
        costs.row(row.name(), [Some(case.median()), Some(allocations)]);
        let base = checkout::Row::ALL.iter().position(|one| *one == row.base());
        shares.row(row.name(), spread(case, base.and_then(|at| cases.get(at))));
    }
    // Taking the cases apart again is not what is measured.
    std::mem::forget(cases);
    vec![costs, shares]
}

/// Queries on each connection of a set.
const HELD_QUERIES: u64 = 1000;

fn held(sets: usize) -> Vec<Table> {
    let server = server::start(1);
    let mut tables = Vec::new();
    for (protocol, key, name) in [
        (Protocol::Text, "mysql_held_text", "as text"),
        (Protocol::Prepared, "mysql_held_prepared", "prepared"),
    ] {
        let sets: Vec<held::Set> = server
            .iter()
            .flat_map(|server| held::run(&server::url(server.addr()), protocol, sets, HELD_QUERIES))
            .collect();
        let title = format!(
            "A point query on a held connection, {name}: µs, and time as a share of the bare \
             driver's ({} sets of fresh connections, medians of {HELD_QUERIES} queries each; \
             the sets' median and their middle half)",
            sets.len()
        );
        let columns = ["µs"].into_iter().chain(SPREAD).map(String::from);
        let mut table = Table::new(key, title, columns, 3);
        for (row, name) in held::NAMES.into_iter().enumerate() {
            let time = median(sets.iter().map(|set| set[row] / 1e3).collect());
            let ratios: Vec<f64> = sets.iter().map(|set| set[row] / set[0]).collect();
            let [from, to] = middle_half(ratios.clone());
            table.row(name, [time, median(ratios), from, to].map(Some));
        }
        tables.push(table);
    }
    tables
}

fn queries(rounds: usize) -> Vec<Table> {
    let servers = server::start(1);
    let mut tables = Vec::new();
    for (protocol, key, ratio_key, name) in [
        (Protocol::Text, "mysql_text", "mysql_text_ratio", "as text"),
        (
            Protocol::Prepared,
            "mysql_prepared",
            "mysql_prepared_ratio",
            "prepared",
        ),
    ] {
        let urls = servers.iter().map(|server| server::url(server.addr()));
        let runs = urls
            .flat_map(|url| query::Row::ALL.map(|row| query::set_up(row, protocol, &url)))
            .collect();
        let cases = time(runs, 10, rounds);

        let title = format!("A point query, {name} (median of {rounds} rounds)");
        let mut costs = Table::new(key, title, ["µs".to_owned()], 1);
        let title = format!(
            "A point query, {name}: time as a share of another row's \
             (median of the rounds' ratios, and their middle half)"
        );
        let mut shares = Table::new(ratio_key, title, SPREAD.map(String::from), 3);
        for (row, case) in query::Row::ALL.into_iter().zip(&cases) {
            costs.row(row.name(), [Some(case.median() / 1e3)]);
            if row != row.base() {
                let base = query::Row::ALL.iter().position(|one| *one == row.base());
                let name = format!("{} / {}", row.name(), row.base().name());
                shares.row(&name, spread(case, base.and_then(|at| cases.get(at))));
            }
        }
        std::mem::forget(cases);
        tables.extend([costs, shares]);
    }
    tables
}

#[expect(
    clippy::expect_used,
    reason = "what cannot be measured must end here, not print a figure"
)]
fn hops(rounds: usize) -> Vec<Table> {
    let servers = server::start(2);
    let addrs: Vec<_> = servers.iter().map(|server| server.addr()).collect();
    let proxy = HaProxy::start(&addrs).expect("HAProxy starts");
    let cases = |tasks| {
        let runs = hop::Row::ALL.map(|row| hop::set_up(row, tasks, &addrs, proxy.addr()));
        time(runs.into(), 10 * tasks as u64, rounds)
    };
    let (one, many) = (cases(1), cases(hop::TASKS));

    let tasks = hop::TASKS;
    let title = format!(
        "Two servers: µs a query from one task, and queries a second from {tasks} \
         (median of {rounds} rounds)"
    );
    let columns = ["µs".to_owned(), "a second".to_owned()];
    let mut costs = Table::new("mysql_hop", title, columns, 0);
    let title = format!(
        "Two servers: one task's time and {tasks} tasks' speed, as a share of Evenhand's without a \
         hop (median of the rounds' ratios, and their middle half)"
    );
    let columns = [
        "time", "from", "to", "speed", "from_", // One key each in JSON.
        "to_",
    ];
    let mut shares = Table::new("mysql_hop_ratio", title, columns.map(String::from), 2);
    for ((row, one_case), many_case) in hop::Row::ALL.into_iter().zip(&one).zip(&many) {
        let speed = 1e9 / many_case.median();
        costs.row(row.name(), [Some(one_case.median() / 1e3), Some(speed)]);
        let time = spread(one_case, one.first());
        let speed = many.first().map(|base| {
            let [from, to] = base.middle_half_to(many_case);
            [base.ratio_to(many_case), from, to]
        });
        let speed = [0, 1, 2].map(|at| speed.map(|speed| speed[at]));
        shares.row(row.name(), time.into_iter().chain(speed));
    }
    std::mem::forget((one, many));
    vec![costs, shares]
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

/// A ratio to the base, and the middle half of the rounds' ratios.
fn spread(case: &Timed, base: Option<&Timed>) -> [Option<f64>; 3] {
    let Some(base) = base else { return [None; 3] };
    let [from, to] = case.middle_half_to(base);
    [case.ratio_to(base), from, to].map(Some)
}
