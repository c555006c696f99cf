//! Just enough SQL to say what a statement gives: `tokens` and `parse` read it, `answers` plans what
//! to do with it, and `state` does that to a connection.

pub(super) mod answers;
mod parse;
pub(super) mod state;
pub(super) mod tokens;
