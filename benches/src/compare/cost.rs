//! Time, allocations and memory of all rows, side by side.

use std::time::Duration;

use evenhand_benches::counting::count;
use evenhand_benches::one_task::{self, Run};
use evenhand_benches::rounds::{Timed, interleave};
use evenhand_benches::row::Row;
use evenhand_benches::{crowd, footprint};

use crate::table::Table;

/// The numbers of peers that each row is measured with.
const SIZES: [usize; 6] = [2, 3, 10, 100, 1000, 10_000];

/// Calls over which allocations are counted.
const COUNTED: u64 = 1000;

struct Plan {
    rounds: usize,
    one_task: Duration,
    crowd: Duration,
}

impl Plan {
    fn new(quick: bool) -> Self {
        if quick {
            Self {
                rounds: 15,
                one_task: Duration::from_millis(1),
                crowd: Duration::from_millis(4),
            }
        } else {
            Self {
                rounds: 151,
                one_task: Duration::from_millis(1),
                crowd: Duration::from_millis(8),
            }
        }
    }
}

/// Measures all of it.
pub(crate) fn compare(quick: bool) -> Vec<Table> {
    let plan = Plan::new(quick);
    let memory = memory();

    let groups = SIZES.map(|n| Row::ONE_TASK.map(|row| one_task::set_up(row, n)));
    let mut groups: Vec<Vec<Run>> = groups.into_iter().map(Vec::from).collect();
    let allocations = allocations(&mut groups);
    let one_task = time(groups, plan.one_task, 10, plan.rounds);

    let crowd = |n| {
        Row::CROWD
            .iter()
            .filter_map(move |row| crowd::set_up(*row, n))
    };
    let groups = SIZES.map(|n| crowd(n).collect()).into();
    let shared = time(groups, plan.crowd, 10 * crowd::TASKS, plan.rounds);

    let mut tables = vec![
        medians(
            "ns",
            &Row::ONE_TASK,
            &one_task,
            "One task: ns a call",
            plan.rounds,
        ),
        ratios(
            "ratio",
            &Row::ONE_TASK,
            &one_task,
            Row::P2c,
            "One task: time as a share of p2c's",
        ),
        allocations,
        memory,
    ];
    let who = format!("{} tasks on {} threads", crowd::TASKS, crowd::THREADS);
    let title = format!("{who}: ns a call, over all tasks");
    tables.push(medians(
        "shared_ns",
        &Row::CROWD,
        &shared,
        &title,
        plan.rounds,
    ));
    let title = format!("{who}: how many times as fast as buffer");
    tables.push(ratios(
        "shared_speed",
        &Row::CROWD,
        &shared,
        Row::Buffer,
        &title,
    ));
    // Taking the cases apart again is not what is measured.
    std::mem::forget((one_task, shared));
    tables
}

fn time(groups: Vec<Vec<Run>>, length: Duration, step: u64, rounds: usize) -> Vec<Vec<Timed>> {
    let timed = |run| Timed::new(run, length, step);
    let mut groups: Vec<Vec<Timed>> = groups
        .into_iter()
        .map(|group| group.into_iter().map(timed).collect())
        .collect();
    interleave(&mut groups, rounds);
    groups
}

fn sizes() -> impl Iterator<Item = String> {
    SIZES.into_iter().map(|n| n.to_string())
}

fn medians(
    key: &'static str,
    rows: &[Row],
    groups: &[Vec<Timed>],
    title: &str,
    rounds: usize,
) -> Table {
    let title = format!("{title} (median of {rounds} rounds), by number of peers");
    let mut table = Table::new(key, title, sizes(), 1);
    for (i, row) in rows.iter().enumerate() {
        let medians = groups.iter().map(|group| group.get(i).map(Timed::median));
        table.row(row.name(), medians);
    }
    table
}

/// Times relative to one row; for the crowd, speeds.
fn ratios(key: &'static str, rows: &[Row], groups: &[Vec<Timed>], to: Row, title: &str) -> Table {
    let title = format!("{title} (median of the rounds' ratios), by number of peers");
    let mut table = Table::new(key, title, sizes(), 2);
    let other = rows.iter().position(|row| *row == to);
    for (i, row) in rows.iter().enumerate() {
        let ratio = |group: &Vec<Timed>| {
            let (mine, theirs) = (group.get(i)?, group.get(other?)?);
            Some(match to {
                Row::Buffer => theirs.ratio_to(mine),
                _ => mine.ratio_to(theirs),
            })
        };
        table.row(row.name(), groups.iter().map(ratio));
    }
    table
}

fn allocations(groups: &mut [Vec<Run>]) -> Table {
    let title = "One task: allocations a call, by number of peers";
    let mut table = Table::new("allocations", title, sizes(), 3);
    for (i, row) in Row::ONE_TASK.iter().enumerate() {
        let counts = groups.iter_mut().map(|group| {
            let run = group.get_mut(i)?;
            // Once beforehand, for what is made once a thread.
            run(COUNTED);
            let (_, counted) = count(|| run(COUNTED));
            Some(counted.allocations as f64 / COUNTED as f64)
        });
        table.row(row.name(), counts);
    }
    table
}

fn memory() -> Table {
    let title = format!(
        "Bytes a peer beside its service (which takes {}), by number of peers",
        footprint::SERVICE
    );
    let mut table = Table::new("bytes", title, sizes(), 1);
    let all = |of: fn(usize) -> f64| SIZES.map(|n| Some(of(n)));
    table.row(Row::P2c.name(), all(footprint::of_p2c));
    table.row(Row::Evenhand.name(), all(footprint::of_evenhand));
    table
}
