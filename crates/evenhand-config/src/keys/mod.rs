//! Every key of a file as data: the checks, suggestions and environment variables use this table, and the
//! reference page and the schema are made from it. Knows the choices of the plan.

mod key;
mod table;

pub use self::key::{Key, Scope, ValueKind};

/// Every key, in the order of the reference page.
pub fn keys() -> &'static [Key] {
    table::KEYS
}

/// The key with this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.name == name)
}
