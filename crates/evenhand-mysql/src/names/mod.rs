//! Host names: how they are looked up, and where the server of one is.
//!
//! Knows nothing of peers and pools.

pub(crate) mod dns;
pub(crate) mod place;
pub(crate) mod resolver;
