//! [`Membership`]: whether and how a pool's peers are those that the cluster itself lists.
//!
//! `view` is what one server says of its cluster. Knows nothing of peers and pools.

pub(crate) mod view;

use std::time::Duration;

use evenhand_config::HostPort;

use crate::time::deadline::LONGEST;

/// Default of [`Membership::interval`]: 5 s.
pub const DEFAULT_MEMBERSHIP_INTERVAL: Duration = Duration::from_secs(5);

/// The shortest interval.
const SHORTEST: Duration = Duration::from_millis(10);

/// The cluster's own list of its members, from which a pool gets its peers. Given to a pool by
/// [`PoolOptions::discover`](crate::PoolOptions::discover), which says what it does.
///
/// ```
/// use evenhand_mysql::{Membership, PoolOptions};
///
/// let pool = PoolOptions::new()
///     .discover(Membership::galera())
///     .open_url("mysql://app:secret@db.internal/shop")?;
/// # Ok::<(), evenhand_mysql::mysql_async::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Membership {
    pub(crate) kind: Kind,
    pub(crate) interval: Duration,
    map: Vec<(HostPort, HostPort)>,
    pub(crate) tls_name: Option<String>,
}

/// Where the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Galera,
    GroupReplication,
}

impl Membership {
    /// Galera's list, `wsrep_incoming_addresses`, as a node of the primary component tells it.
    ///
    /// Each node must say where clients reach it, by `wsrep_node_incoming_address`: with the default, `AUTO`, it
    /// does not. A list with such an entry is not used, and a warning says so once.
    pub fn galera() -> Self {
        Self::of(Kind::Galera)
    }

    /// MySQL Group Replication's list, `performance_schema.replication_group_members`, as a member tells it that
    /// is online and whose group has its majority. The pool's user must be allowed to read that table.
    ///
    /// The addresses are those that the members report (`report_host`, `report_port`). A member that recovers
    /// is none yet. All others are peers, whatever their role: in a [writable](crate::PoolOptions::writable) pool the probe finds the primary.
    pub fn group_replication() -> Self {
        Self::of(Kind::GroupReplication)
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            interval: DEFAULT_MEMBERSHIP_INTERVAL,
            map: Vec::new(),
            tls_name: None,
        }
    }

    /// The time between two questions, with ±10 % jitter; from 10 ms to a year. Default:
    /// [`DEFAULT_MEMBERSHIP_INTERVAL`].
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(SHORTEST, LONGEST);
        self
    }

    /// Where the cluster says `from`, clients connect to `to`: for networks that rename addresses. A `from`
    /// without a port stands for all ports of its host, and a `to` without one keeps the port. Of several that
    /// fit, the first counts. Default: none.
    ///
    /// ```
    /// # use evenhand_mysql::Membership;
    /// let membership = Membership::galera()
    ///     .map_address("10.0.0.1:3306".parse()?, "db.example:33061".parse()?)
    ///     .map_address("10.0.0.2:3306".parse()?, "db.example:33062".parse()?);
    /// # Ok::<(), evenhand_mysql::evenhand_config::HostPortError>(())
    /// ```
    pub fn map_address(mut self, from: HostPort, to: HostPort) -> Self {
        self.map.push((from, to));
        self
    }

    /// The name that the certificates of members must have. `None`: a member that the cluster lists by its IP
    /// address must have the host name of the first listed peer, if that was given by name; any other, its own
    /// host. Default: `None`. It has no effect without TLS, and listed peers keep their own.
    pub fn tls_name(mut self, name: impl Into<Option<String>>) -> Self {
        self.tls_name = name.into();
        self
    }

    /// Where clients reach a member.
    pub(crate) fn mapped(&self, member: &HostPort) -> HostPort {
        let fits = |from: &HostPort| {
            let port = from.port().is_none_or(|port| port == port_of(member));
            from.host() == member.host() && port
        };
        match self.map.iter().find(|(from, _)| fits(from)) {
            Some((_, to)) if to.port().is_some() => to.clone(),
            Some((_, to)) => address(to.host(), port_of(member)).unwrap_or_else(|| to.clone()),
            None => member.clone(),
        }
    }
}

/// A host's address at this port; `None` if it is not a host.
pub(crate) fn address(host: &str, port: u16) -> Option<HostPort> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let text = match bare.contains(':') {
        true => format!("[{bare}]:{port}"),
        false => format!("{bare}:{port}"),
    };
    text.parse().ok()
}

/// Its port, or MySQL's.
pub(crate) fn port_of(address: &HostPort) -> u16 {
    address.port().unwrap_or(3306)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_mapped_by_the_first_rule_that_fits() {
        let at = |text: &str| text.parse::<HostPort>().unwrap();
        let rules = [
            ("10.0.0.1:3306", "outside:33061"),
            ("10.0.0.1", "other"),
            ("[::1]", "[2001:db8::1]"),
        ];
        let membership = rules
            .into_iter()
            .fold(Membership::galera(), |membership, (from, to)| {
                membership.map_address(at(from), at(to))
            });
        let mapped = |text: &str| membership.mapped(&at(text)).to_string();
        assert_eq!(mapped("10.0.0.1"), "outside:33061");
        assert_eq!(mapped("10.0.0.1:3307"), "other:3307");
        assert_eq!(mapped("10.0.0.2:3307"), "10.0.0.2:3307");
        assert_eq!(mapped("[::1]:3307"), "[2001:db8::1]:3307");
    }

    #[test]
    fn intervals_have_bounds() {
        let of = |interval| Membership::galera().interval(interval).interval;
        assert_eq!(of(Duration::ZERO), SHORTEST);
        assert_eq!(of(Duration::MAX), LONGEST);
    }
}
