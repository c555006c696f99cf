//! What a balanced database sets: its list of peers and the settings of its pool. Knows how values are read and
//! the roles of databases.

mod members;
mod settings;

pub(super) use self::members::aliases;
pub(super) use self::settings::{check, read as settings};
