//! Random schedules of requests, outcomes, operators and clock steps, run on the balancer and on a
//! simple reference. Both must agree after every step.
//!
//! The schedules have rounds and waits, tickets (also those that decide: before the response, after
//! it, at the limit), joins at once and on proof, a retry budget and slow start. They do not have
//! background probes and checks, hedges, weights, accruals and threads.
//!
//! A failure shows its seed and its schedule. To run one seed alone:
//! `EVENHAND_SEED=17 cargo test -p evenhand --test property`. A range runs more: `600..5000`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

mod agree;
mod controlled_connector;
mod decisions;
mod outcomes;
mod reference;
mod request;
mod rules;
mod schedule;
mod turns;
mod world;

use rules::AllDown;

const SEEDS: u64 = 600;
const STEPS: usize = 200;

/// Runs a schedule for each seed, each on a separate paused clock.
fn run(all_down: fn(u64) -> AllDown) {
    let seeds = std::env::var("EVENHAND_SEED").ok();
    let (first, end) = seeds.map_or((0, SEEDS), |text| {
        let number = |text: &str| text.parse().expect("a seed");
        match text.split_once("..") {
            Some((first, end)) => (number(first), number(end)),
            None => (number(&text), number(&text) + 1),
        }
    });
    for seed in first..end {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            if let Err(failure) = schedule::run(seed, STEPS, all_down(seed)).await {
                panic!("seed {seed}\n{failure}");
            }
        });
    }
}

#[test]
fn matches_the_reference_failing_when_all_down() {
    run(|_| AllDown::Fail);
}

#[test]
fn matches_the_reference_waiting_when_all_down() {
    run(|seed| AllDown::Wait(std::time::Duration::from_secs(5 + seed % 40)));
}

#[test]
fn matches_the_reference_failing_open() {
    run(|_| AllDown::FailOpen);
}
