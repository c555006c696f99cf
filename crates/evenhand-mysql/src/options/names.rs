//! Settings that say how the host names of peers are looked up.

use std::time::Duration;

use super::PoolOptions;
use crate::names::resolver::Resolver;
use crate::time::deadline::LONGEST;

/// The shortest interval between two lookups of a name.
const SHORTEST: Duration = Duration::from_millis(10);

impl PoolOptions {
    /// How often the host name of a peer is looked up again while the pool runs, from 10 ms to a year. `None`:
    /// the driver looks it up for each connection that it opens, and nothing else does. Default:
    /// [`DEFAULT_NAME_LOOKUP_INTERVAL`](crate::DEFAULT_NAME_LOOKUP_INTERVAL).
    ///
    /// A peer is at one address: the first of its name's that it can be reached at. It stays there for as long
    /// as the name has that address, in whatever order and beside whatever others. Once the name has it no more,
    /// the peer moves to the first of those that it has: new connections go there at once, idle ones are
    /// closed, and those in use are closed when they are returned. A peer that was out is checked there at once.
    /// A lookup that fails, or gives nothing, changes nothing; the first one in a row is logged at `WARN`.
    ///
    /// IP addresses and sockets are not looked up, nor are peers whose options say the addresses
    /// ([`resolved_ips`](mysql_async::OptsBuilder::resolved_ips)). If a name gives another of its servers each
    /// time it is asked, as the reader endpoints of some clouds do, list the servers themselves, or give
    /// `None`: each answer would be a move.
    pub fn name_lookup_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        let interval: Option<Duration> = interval.into();
        self.name_lookup_interval = interval.map(|interval| interval.clamp(SHORTEST, LONGEST));
        self
    }

    /// What looks host names up, unless [`name_lookup_interval`](Self::name_lookup_interval) is `None`.
    /// Default: [`Resolver::system`].
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// The resolver of names in DNS, for [`open_names`](Self::open_names), `mysql+srv://` URLs and the key `hosts`
    /// of a config file. Default: [`Dns::system`](evenhand_dns::Dns::system), made when the pool is opened.
    #[cfg(feature = "dns")]
    pub fn dns(mut self, dns: evenhand_dns::Dns) -> Self {
        self.dns.dns = Some(std::sync::Arc::new(dns));
        self
    }

    #[cfg(feature = "dns")]
    pub(crate) fn get_dns(&self) -> Option<std::sync::Arc<evenhand_dns::Dns>> {
        self.dns.dns.clone()
    }
}
