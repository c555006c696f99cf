//! Shortage, simulated: many clients, few peers, and histories in which the peers have trouble. Run with
//! this balancer, with tower's, and with none. Makes `docs/SHORTAGE.md`; `EVENHAND_BLESS=1` rewrites it.
//!
//! On a paused clock, one thread and seeded randomness, so that each run gives the same figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

mod claim;
mod contenders;
mod history;
mod page;
mod peers;
mod results;
mod run;
