//! Random schedules of requests, outcomes, operators and clock steps, run on the balancer and on a
//! reference that is too simple to be wrong, which must agree after every step.
//!
//! A failure names its seed and tells its schedule. To run one seed alone:
//! `EVENHAND_SEED=17 cargo test -p evenhand --test property`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

mod controlled_connector;
mod reference;
mod request;
mod rng;
mod schedule;
mod world;

use reference::NoneLeft;

const SEEDS: u64 = 600;
const STEPS: usize = 200;

/// Runs a schedule for each seed. (Each has a clock of its own.)
fn run(none_left: fn(u64) -> NoneLeft) {
    let only = std::env::var("EVENHAND_SEED").ok();
    let seeds = match only.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            if let Err(failure) = schedule::run(seed, STEPS, none_left(seed)).await {
                panic!("seed {seed}\n{failure}");
            }
        });
    }
}

#[test]
fn matches_the_reference_failing_when_all_down() {
    run(|_| NoneLeft::Fail);
}

#[test]
fn matches_the_reference_waiting_when_all_down() {
    run(|seed| NoneLeft::Wait(std::time::Duration::from_secs(5 + seed % 40)));
}

#[test]
fn matches_the_reference_with_a_last_resort() {
    run(|_| NoneLeft::LastResort);
}
