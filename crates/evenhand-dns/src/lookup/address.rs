//! What a source lists: addresses, and the keys that they are told under.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use evenhand::Placed;

/// Where a peer is, and what its source says of it.
///
/// Two of the same [`addr`](Self::addr) are the same peer, whatever else differs.
///
/// It is no target for [`Peers`](evenhand::Peers): weight and tier are parts of it, so that each change of
/// them would replace the peer. Make a [`SocketAddr`] of it, an [`Endpoint`], or a type of your own with
/// [`placed`](Self::placed).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Address {
    /// The name that led here, in lower case and without a dot at the end: the name that was looked
    /// up, or the target of an SRV record. It is what a certificate is to be checked for. Without a
    /// name it is the IP address as text.
    pub host: Arc<str>,
    /// The address and port to connect to.
    pub addr: SocketAddr,
    /// The share of the work among the addresses of the same tier. 1 by default.
    pub weight: u32,
    /// 0 is used first, 1 if that is out, and so on. 0 by default.
    pub tier: u32,
}

impl Address {
    /// An address without a name, of weight 1, in tier 0.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            host: addr.ip().to_string().into(),
            addr,
            weight: 1,
            tier: 0,
        }
    }

    /// With the name that its certificate is to be checked for.
    pub fn with_host(mut self, host: impl Into<Arc<str>>) -> Self {
        self.host = host.into();
        self
    }

    /// With this weight.
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// In this tier.
    pub fn with_tier(mut self, tier: u32) -> Self {
        self.tier = tier;
        self
    }

    /// A target that was made from it, in its place: with its weight and tier. For
    /// [`Peers::follow_placed`](evenhand::Peers::follow_placed).
    pub fn placed<Target>(&self, target: Target) -> Placed<Target> {
        Placed::new(target).weight(self.weight).tier(self.tier)
    }

    /// What it is told under.
    pub fn key(&self) -> Key {
        if *self.host == *self.addr.ip().to_string() {
            Key(self.addr.to_string().into())
        } else {
            Key(format!("{}/{}", self.host, self.addr).into())
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::new(addr)
    }
}

/// For `Peers<SocketAddr>`: `changes.targets(Placed::from)`.
///
/// `Placed::from` also takes an [`Address`] for `Peers<Address>`, as it takes any target, and that one has **no
/// weight and no tier**. Where the host is needed, use [`Endpoint`].
impl From<Address> for Placed<SocketAddr> {
    fn from(address: Address) -> Self {
        address.placed(address.addr)
    }
}

/// Where to connect to, and the name that the certificate is to be checked for: a target for peers over TLS.
///
/// ```
/// use evenhand_dns::evenhand::{Peers, Placed};
/// use evenhand_dns::{Changes, Endpoint};
///
/// fn follow(peers: &Peers<Endpoint>, changes: Changes) {
///     // With weights and tiers. A connector has `peer.addr` to connect to, and `peer.host` for TLS.
///     peers.follow_placed(changes.targets(Placed::from)).detach();
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// As [`Address::host`].
    pub host: Arc<str>,
    /// As [`Address::addr`].
    pub addr: SocketAddr,
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        Self {
            host: address.host,
            addr: address.addr,
        }
    }
}

/// For `Peers<Endpoint>`: `changes.targets(Placed::from)`.
impl From<Address> for Placed<Endpoint> {
    fn from(address: Address) -> Self {
        address.placed(address.clone().into())
    }
}

/// The name of a peer that was found: `db.example/10.0.0.1:3306`, or `10.0.0.1:3306` where no name led
/// to the address. An address keeps it for as long as it is listed under its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Key> for Arc<str> {
    fn from(key: Key) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_has_the_name_that_led_to_the_address() {
        let address = Address::new("10.0.0.1:3306".parse().unwrap());
        assert_eq!(address.key().as_str(), "10.0.0.1:3306");
        let named = address.with_host("db.example");
        assert_eq!(named.key().to_string(), "db.example/10.0.0.1:3306");
        let v6 = Address::new("[fd00::1]:3306".parse().unwrap());
        assert_eq!(v6.key().as_str(), "[fd00::1]:3306");
    }

    #[test]
    fn weight_and_tier_are_no_part_of_the_key() {
        let address = Address::new("10.0.0.1:3306".parse().unwrap());
        let heavier = address.clone().with_weight(5).with_tier(2);
        assert_ne!(heavier, address);
        assert_eq!(heavier.key(), address.key());
    }
}
