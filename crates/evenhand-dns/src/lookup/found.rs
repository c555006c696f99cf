//! What a lookup found: a whole list, and which parts of it are missing.

use std::sync::Arc;
use std::time::Duration;

use crate::lookup::address::Address;
use crate::lookup::error::Error;

/// What a lookup found: a whole list.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// Every address that is listed, in any order.
    pub addresses: Vec<Address>,
    /// How long that is valid: the smallest TTL of the records.
    pub valid_for: Duration,
    /// Parts of the list that could not be looked up. Addresses that an earlier lookup found there stay.
    pub lost: Vec<Lost>,
}

/// A part of a list that could not be looked up.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lost {
    /// The name whose addresses are missing.
    pub host: Arc<str>,
    /// Which of them: all, if `None`.
    pub family: Option<Family>,
    /// Why.
    pub error: Arc<Error>,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

impl Lost {
    /// Whether this address may be in the part that is missing.
    pub(crate) fn covers(&self, address: &Address) -> bool {
        let family = match self.family {
            None => true,
            Some(Family::V4) => address.addr.is_ipv4(),
            Some(Family::V6) => address.addr.is_ipv6(),
        };
        family && self.host == address.host
    }
}
