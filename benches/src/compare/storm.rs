//! The failure storm, one contender after the other.

use evenhand_benches::storm::contender::Contender;
use evenhand_benches::storm::refusal::{Refusal, SLOW};
use evenhand_benches::storm::{BAD, CLIENTS, PEERS, run};

use crate::table::Table;

/// Sends them all through it.
pub(crate) fn compare(quick: bool) -> Vec<Table> {
    let requests = if quick { 10_000 } else { 100_000 };
    let slow = format!("refuse after {} µs", SLOW.as_micros());
    vec![
        storm("storm_at_once", "refuse at once", requests, || {
            Refusal::AtOnce
        }),
        storm("storm_slow", &slow, requests, Refusal::slow),
    ]
}

fn storm(key: &'static str, how: &str, requests: u32, refusal: fn() -> Refusal) -> Table {
    let title = format!(
        "{requests} requests from {CLIENTS} clients; {BAD} of {PEERS} peers {how}, \
         the others answer after 1 to 3 ms"
    );
    let columns = [
        "requests failed",
        "first attempts on bad peers",
        "all attempts on bad peers",
        "milliseconds in all",
    ];
    let mut table = Table::new(key, title, columns.map(String::from), 0);
    for contender in Contender::ALL {
        let outcome = run(contender, refusal(), requests);
        let counts = [outcome.failed, outcome.bad_first, outcome.bad_all].map(f64::from);
        let took = outcome.took.as_secs_f64() * 1e3;
        let figures = counts.into_iter().chain([took]);
        table.row(contender.name(), figures.map(Some));
    }
    table
}
