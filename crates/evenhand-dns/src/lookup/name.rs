//! What can be looked up in DNS, and how it is written.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::lookup::error::Error;

/// A name to look up in DNS: a host with a port, or a service by its SRV records.
///
/// As text: `dns:db.example:3306`, or without `dns:`; `srv:_mysql._tcp.db.example`.
///
/// The system's search domains apply, as to any name. A domain that does not answer, or answers by an error such
/// as `SERVFAIL`, ends the search: the next one may have another host of that name. A name that ends with a dot is
/// complete, costs no further queries and can never lead to another domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Address(SocketAddr),
    Host { host: String, port: u16 },
    Srv { service: String },
}

impl Name {
    /// Every address of `host`, A and AAAA, with this port. An IP address stands for itself.
    ///
    /// # Errors
    ///
    /// If `host` is no name and no IP address.
    pub fn host(host: &str, port: u16) -> Result<Self, Error> {
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Self(Kind::Address((ip, port).into())));
        }
        check(host)?;
        let host = host.to_owned();
        Ok(Self(Kind::Host { host, port }))
    }

    /// Every address of every target of the SRV records of `service`, such as `_mysql._tcp.db.example`,
    /// with the records' ports, weights and priorities (RFC 2782).
    ///
    /// - The lowest priority is tier 0, the next one tier 1, and so on: by rank, not by number.
    /// - The weight of a record, in hundredths, is shared by the addresses of its target: with a weight of 3, two
    ///   addresses have 150 each. None has less than 1, so a record of weight 0 is used, but seldom if others
    ///   have more. If all of a tier have 0, they are equal, as if each had 1.
    /// - Addresses of other sources have a weight of 1, if none is set, which is a hundredth of that of a
    ///   record of weight 1. Where a [`Discovery`](crate::Discovery) has both, set the weight of the others.
    /// - Where a target cannot be looked up, the addresses that are known of it stay, with the port, weight and
    ///   priority that its record has now.
    /// - A target `.` says that the service is not available: it has no address.
    ///
    /// # Errors
    ///
    /// If `service` is no name.
    pub fn srv(service: &str) -> Result<Self, Error> {
        check(service)?;
        let service = service.to_owned();
        Ok(Self(Kind::Srv { service }))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }
}

fn check(text: &str) -> Result<(), Error> {
    let invalid = |reason| Error::Name {
        text: text.to_owned(),
        reason,
    };
    if text.is_empty() || text == "." {
        return Err(invalid("it is empty"));
    }
    if text.contains([':', '/', '@', ' ']) {
        return Err(invalid("a host name has none of `:`, `/`, `@` and space"));
    }
    hickory_resolver::proto::rr::Name::from_utf8(text)
        .map(drop)
        .map_err(|_| invalid("DNS has no such names"))
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(service) = text.strip_prefix("srv:") {
            return Self::srv(service);
        }
        let rest = text.strip_prefix("dns:").unwrap_or(text);
        let no_port = || Error::Name {
            text: text.to_owned(),
            reason: "a port is missing, as in `db.example:3306`",
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(no_port)?;
        let port = port.parse().map_err(|_| no_port())?;
        Self::host(host, port)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Address(addr) => write!(f, "dns:{addr}"),
            Kind::Host { host, port } => write!(f, "dns:{host}:{port}"),
            Kind::Srv { service } => write!(f, "srv:{service}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in [
            "dns:galera.db.svc.cluster.local:3306",
            "dns:10.0.0.1:3306",
            "dns:[fd00::1]:3306",
            "srv:_mysql._tcp.db.example.",
        ] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), text);
        }
        let plain: Name = "db.example:3306".parse().unwrap();
        assert_eq!(plain, Name::host("db.example", 3306).unwrap());
    }

    #[test]
    fn text_that_names_nothing_is_refused_with_the_reason() {
        for (text, reason) in [
            ("db.example", "a port is missing"),
            ("db.example:http", "a port is missing"),
            ("dns::3306", "it is empty"),
            ("srv:", "it is empty"),
            ("srv:_mysql._tcp.db:3306", "a host name has none of"),
            ("mysql://db:3306", "a host name has none of"),
            ("a..b:3306", "DNS has no such names"),
        ] {
            let error = text.parse::<Name>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
