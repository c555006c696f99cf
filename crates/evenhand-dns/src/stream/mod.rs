//! From lookups to a stream of changes: one task a source, and what they share with the stream.

pub(crate) mod board;
pub(crate) mod changes;
pub(crate) mod handle;
mod held;
pub(crate) mod pace;
pub(crate) mod task;
