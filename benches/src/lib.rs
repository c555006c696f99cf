//! What is measured, and how: shared by the `compare` program and the criterion benches, so that
//! both speak of the same cases.
//!
//! | module | holds |
//! | --- | --- |
//! | [`answer`] | the peer's service: ready at once, answers at once |
//! | [`row`] | the rows of the tables, by name |
//! | [`one_task`] | each row set up for one task |
//! | [`crowd`] | each row set up for 64 tasks on two threads |
//! | [`ejected`] | a peer set with half of its peers ejected |
//! | [`seed`] | the algorithm that Evenhand grew from, for comparison |
//! | [`counting`] | an allocator that counts |
//! | [`footprint`] | the bytes that a peer costs |
//! | [`rounds`] | interleaved rounds and their medians |
//! | [`storm`] | half of the peers refuse, under load |
//! | [`http`] | `evenhand-http` beside hyper-util's client alone, and beside tonic's balancer |
//! | [`mysql`] | the MySQL pool beside the driver's own, on real servers |
//!
//! How to run it and what came out: `docs/PERFORMANCE.md`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that went wrong must end there, not print a figure"
)]

pub mod answer;
pub mod counting;
pub mod crowd;
pub mod ejected;
pub mod footprint;
pub mod http;
pub mod mysql;
pub mod one_task;
pub mod rounds;
pub mod row;
pub mod seed;
pub mod storm;
