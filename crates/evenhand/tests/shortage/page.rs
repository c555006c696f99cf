//! The page, `docs/SHORTAGE.md`. `EVENHAND_BLESS=1` rewrites it.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::claim::{fewer, worse};
use crate::contenders::{EVENHAND, FIXED, TOWER};
use crate::history::HISTORIES;
use crate::results::{ROWS, Row};
use crate::run::Load;

/// The page, with a comment in place of each table.
const TEMPLATE: &str = include_str!("page.md");

const PATH: &str = "../../docs/SHORTAGE.md";

fn page() -> String {
    TEMPLATE
        .replace("<!-- STEADY -->\n", &figures(Load::Steady))
        .replace("<!-- ONE AT A TIME -->\n", &figures(Load::OneAtATime))
        .replace("<!-- CLAIM -->\n", &claims())
}

fn figures(load: Load) -> String {
    let mut table = "| history | client | served | failed | attempts wasted | longest wait |\n\
                     | --- | --- | --: | --: | --: | --: |\n"
        .to_owned();
    for row in ROWS.iter().filter(|row| row.load == load) {
        let mut history = row.history.name;
        let tallies = [
            (EVENHAND, row.evenhand),
            (FIXED, row.fixed),
            (TOWER, row.tower),
        ];
        for (client, tally) in tallies {
            writeln!(
                table,
                "| {history} | {} | {} | {} | {} | {} |",
                client.name,
                tally.served,
                tally.failed,
                tally.wasted,
                seconds(tally.longest)
            )
            .unwrap();
            history = "";
        }
    }
    table
}

fn claims() -> String {
    let mut table = "| history | longest wait allowed | steady load | one at a time |\n\
                     | --- | --: | --- | --- |\n"
        .to_owned();
    for (n, history) in HISTORIES.iter().enumerate() {
        let (steady, one_at_a_time) = (&ROWS[n], &ROWS[HISTORIES.len() + n]);
        writeln!(
            table,
            "| {} | {} | {} | {} |",
            history.name,
            seconds(history.longest),
            claim(steady),
            claim(one_at_a_time)
        )
        .unwrap();
    }
    table
}

fn claim(row: &Row) -> String {
    match (worse(row), fewer(row)) {
        (worse, 0) if worse.is_empty() => "holds".to_owned(),
        (worse, fewer) if worse.is_empty() => format!("holds; serves {fewer} fewer"),
        (worse, _) => format!("**{}**", worse.join(", ")),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[test]
fn shortage_page_is_up_to_date() {
    let expected = page();
    if std::env::var_os("EVENHAND_BLESS").is_some() {
        fs::write(PATH, &expected).unwrap();
    }
    let text = fs::read_to_string(PATH).unwrap_or_default();
    let lines = text.lines().zip(expected.lines());
    let difference = lines.into_iter().find(|(found, wanted)| found != wanted);
    assert!(
        text == expected,
        "{PATH} is out of date: run `EVENHAND_BLESS=1 cargo test -p evenhand --test shortage`. \
         First difference, found and expected: {difference:?}"
    );
}
