//! The HTTP measurements measure what they say, and a small GET through Evenhand allocates at most twice
//! more than hyper-util's client alone.

#![allow(
    clippy::expect_used,
    reason = "a test states what it takes for granted"
)]

use evenhand_benches::counting::{Counting, count};
use evenhand_benches::http::{get, server, unary};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLS: u64 = 600;

fn main() {
    small_get_costs_two_allocations_more_at_most();
    every_row_makes_its_calls();
    println!("a small GET allocates at most twice more than hyper-util's client alone");
}

/// Allocations of a GET, after connections were opened and what is made once was made.
fn allocations(row: get::Row, urls: &[String; evenhand_benches::http::PEERS]) -> f64 {
    let mut run = get::set_up(row, urls);
    let sum = CALLS * server::BODY.len() as u64;
    assert_eq!(run(CALLS), sum, "{}", row.name());
    let (counted, count) = count(|| run(CALLS));
    assert_eq!(counted, sum, "{}", row.name());
    count.allocations as f64 / CALLS as f64
}

fn small_get_costs_two_allocations_more_at_most() {
    let urls = server::start_http();
    let [alone, ours] = get::Row::ALL.map(|row| allocations(row, &urls));
    assert!(alone >= 1.0, "allocations are counted");
    // A queue grows now and then.
    assert!(ours - alone <= 2.1, "{ours} allocations, and {alone}");
}

fn every_row_makes_its_calls() {
    let servers = server::start_grpc();
    for row in unary::Row::ALL {
        let mut run = unary::set_up(row, &servers.urls);
        assert_eq!(run(2 * unary::TASKS), 2 * unary::TASKS, "{}", row.name());
    }
}
