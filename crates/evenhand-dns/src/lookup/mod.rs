//! What a lookup is about: names, the addresses that it finds, and why it finds none.

pub(crate) mod address;
pub(crate) mod error;
pub(crate) mod found;
pub(crate) mod name;
