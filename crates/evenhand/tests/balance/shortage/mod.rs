//! Shortage: peers that are few, full, flapping, or all out at once.

mod best_outcome;
mod demand;
mod flapping;
mod joining;
mod rounds;
mod slow_start;
mod unknown;
