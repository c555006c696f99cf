//! Lookups against a real DNS server on loopback.

mod addresses;
mod support;
