//! Every history with every load and every client, run once.

use std::sync::LazyLock;
use std::thread;

use crate::contenders::{Contender, EVENHAND, FIXED, TOWER};
use crate::history::{HISTORIES, History};
use crate::run::{Load, Tally, run};

pub(crate) struct Row {
    pub(crate) history: &'static History,
    pub(crate) load: Load,
    pub(crate) evenhand: Tally,
    pub(crate) fixed: Tally,
    pub(crate) tower: Tally,
}

pub(crate) static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let cases = [Load::Steady, Load::OneAtATime]
        .iter()
        .flat_map(|load| HISTORIES.iter().map(move |history| (history, *load)));
    thread::scope(|scope| {
        let rows: Vec<_> = cases
            .map(|(history, load)| scope.spawn(move || row(history, load)))
            .collect();
        rows.into_iter().map(|row| row.join().unwrap()).collect()
    })
});

fn row(history: &'static History, load: Load) -> Row {
    let run = |contender: Contender| run(history, load, contender.connect);
    Row {
        history,
        load,
        evenhand: run(EVENHAND),
        fixed: run(FIXED),
        tower: run(TOWER),
    }
}
