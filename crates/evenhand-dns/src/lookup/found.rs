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
    /// What the SRV record says of the target, if it is one.
    pub(crate) record: Option<Listing>,
}

/// What an SRV record says of its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Listing {
    pub(crate) port: u16,
    pub(crate) weight: u16,
    /// The rank of its priority.
    pub(crate) tier: u32,
}

impl Listing {
    /// What a weight of 1 is, so that the addresses of a target can share it.
    const UNIT: u32 = 100;

    /// The weight of each of `count` addresses of the target. None has less than 1.
    pub(crate) fn share(&self, count: usize) -> u32 {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        (u32::from(self.weight) * Self::UNIT / count).max(1)
    }
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
    /// An address of the part that is missing, as it is listed now.
    pub(crate) fn kept(&self, address: &Address) -> Address {
        let mut address = address.clone();
        if let Some(record) = &self.record {
            address.addr.set_port(record.port);
            address.tier = record.tier;
        }
        address
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_target_share_its_weight_in_hundredths_and_none_has_less_than_one() {
        for (weight, count, expected) in [
            (1, 1, 100),
            (1, 2, 50),
            (3, 2, 150),
            (10, 3, 333),
            (0, 1, 1),
            (0, 2, 1),
            (1, 200, 1),
            (u16::MAX, 1, 6_553_500),
        ] {
            let (port, tier) = (3306, 0);
            let listing = Listing { port, weight, tier };
            assert_eq!(listing.share(count), expected, "{weight} over {count}");
        }
    }
}
