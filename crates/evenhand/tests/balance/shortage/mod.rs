//! Shortage: peers that are few, full, flapping, or all out at once.

mod best_outcome;
mod demand;
mod flapping;
mod rounds;
mod unknown;
