//! A name that is looked up in DNS.

use super::{Value, refuse, string};
use crate::host_port::HostPort;
use crate::keys::ValueKind;
use crate::plan::{DEFAULT_PORT, HostsKind};
use crate::read::context::Context;
use crate::tree::Item;

/// A name in DNS, and what it stands for.
pub(in crate::read) struct Hosts {
    pub(in crate::read) kind: HostsKind,
    pub(in crate::read) host: String,
    pub(in crate::read) port: u16,
}

impl Value for Hosts {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        match parse(string(item, kind, cx)?) {
            Ok(hosts) => Some(hosts),
            Err(message) => {
                refuse(item, kind, message, cx);
                None
            }
        }
    }
}

fn parse(text: &str) -> Result<Hosts, &'static str> {
    let (kind, rest) = match text.split_once(':') {
        Some(("dns", rest)) => (HostsKind::Addresses, rest),
        Some(("srv", rest)) => (HostsKind::Services, rest),
        _ => return Err("it begins with neither `dns:` nor `srv:`; one server is given by `host`"),
    };
    let address: HostPort = rest
        .parse()
        .map_err(|_| "not a name with an optional port")?;
    if kind == HostsKind::Services && address.port().is_some() {
        return Err("SRV records have the ports: remove this one");
    }
    if address.host().parse::<std::net::IpAddr>().is_ok() {
        return Err("an IP address is one server: give it by `host` and `port`");
    }
    Ok(Hosts {
        kind,
        host: address.host().to_owned(),
        port: address.port().unwrap_or(DEFAULT_PORT),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_kind_and_a_port() {
        let parts = |text| parse(text).map(|hosts| (hosts.kind, hosts.host, hosts.port));
        let (addresses, services) = (HostsKind::Addresses, HostsKind::Services);
        assert_eq!(
            parts("dns:DB.example:3307"),
            Ok((addresses, "db.example".to_owned(), 3307))
        );
        assert_eq!(
            parts("dns:db.example."),
            Ok((addresses, "db.example.".to_owned(), 3306))
        );
        let service = "_mysql._tcp.db.example";
        assert_eq!(
            parts(&format!("srv:{service}")),
            Ok((services, service.to_owned(), 3306))
        );
    }

    #[test]
    fn other_texts_are_refused_as_names() {
        for (text, expected) in [
            ("db.example:3306", "neither `dns:` nor `srv:`"),
            ("db.example", "neither"),
            ("dns:", "not a name"),
            ("dns:a b", "not a name"),
            ("dns:db.example:http", "not a name"),
            ("dns:10.0.0.1:3306", "one server"),
            ("srv:_mysql._tcp.db:3306", "remove this one"),
        ] {
            let message = parse(text).err().unwrap();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
