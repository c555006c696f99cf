//! One of two servers is lost: what the clients see, one contender after the other.

use std::time::Duration;

use evenhand_benches::mysql::figures::Figures;
use evenhand_benches::mysql::outage::{CLIENTS, Contender, Fault, run};
use evenhand_benches::mysql::pool_cluster::PoolCluster;

use crate::table::Table;

/// Takes a server away from them all, in two ways.
pub(crate) fn compare(quick: bool) -> Vec<Table> {
    let window = Duration::from_secs(if quick { 3 } else { 12 });
    let node = PoolCluster::install()
        .inspect_err(|why| eprintln!("compare: {} is left out: {why}", PoolCluster::NAME))
        .ok();
    [
        ("outage_kill", "kill -9", Fault::Kill),
        ("outage_freeze", "SIGSTOP", Fault::Freeze),
    ]
    .into_iter()
    .map(|(key, how, fault)| outage(key, how, fault, window, node.as_ref()))
    .collect()
}

fn outage(
    key: &'static str,
    how: &str,
    fault: Fault,
    window: Duration,
    node: Option<&PoolCluster>,
) -> Table {
    let title = format!(
        "{how} of one of two servers under {CLIENTS} clients, and {} s after it",
        window.as_secs()
    );
    let columns = [
        "longest checkout, ms",
        "longest query, ms",
        "longest silence, ms",
        "checkouts failed",
        "queries failed",
        "clients stuck",
        "queries answered",
    ];
    let mut table = Table::new(key, title, columns.map(String::from), 0);
    for contender in Contender::ALL {
        table.row(contender.name(), row(&run(contender, fault, window)));
    }
    if let Some(node) = node {
        match node.run(fault, window) {
            Ok(figures) => table.row(PoolCluster::NAME, row(&figures)),
            Err(why) => eprintln!("compare: {} is left out: {why}", PoolCluster::NAME),
        }
    }
    table
}

fn row(figures: &Figures) -> [Option<f64>; 7] {
    let waits = [
        figures.longest_checkout,
        figures.longest_query,
        figures.silence,
    ];
    let [checkout, query, silence] = waits.map(|wait| wait.as_secs_f64() * 1e3);
    let counts = [
        figures.failed_checkouts,
        figures.failed_queries,
        figures.stuck,
        figures.answered,
    ];
    let [checkouts, queries, stuck, answered] = counts.map(|count| count as f64);
    [
        checkout, query, silence, checkouts, queries, stuck, answered,
    ]
    .map(Some)
}
