//! What an error says about its peer, by phase, code and message.
//!
//! Knows the errors, nothing that opens a connection.
//!
//! SQLSTATE alone misleads (`08S01` covers "packet too large", the caller's fault), and so does "server
//! error or not": a server that is shutting down says so in a server error, and a wrong parameter count
//! is none. So a table (`table`, of `row`s) judges errors one by one. A user's [`Classifier`] is asked
//! before it. `docs/MYSQL-ERRORS.md` is made from the table by `tests/document.rs`.

mod classifier;
mod judgement;
mod row;
mod rules;
mod sign;
mod table;

#[cfg(test)]
mod tests;

pub use classifier::{Case, Classifier};
pub use judgement::{Judgement, Phase};
pub(crate) use rules::{Rules, asks_for_restart, is_full};
#[cfg(all(test, feature = "metrics"))]
pub(crate) use table::rows;
