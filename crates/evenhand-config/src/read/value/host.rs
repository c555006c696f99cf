//! A host name or an IP address.

use std::net::IpAddr;

use super::{Value, refuse, string};
use crate::host_port::HostPort;
use crate::keys::ValueKind;
use crate::problem::name;
use crate::read::context::Context;
use crate::tree::Item;

/// A host. It is not looked up, but mistakes that would make every attempt fail are reported.
#[derive(Clone)]
pub(in crate::read) struct Host(pub(in crate::read) String);

impl Value for Host {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let host = string(item, kind, cx)?;
        match mistake(host) {
            None => Some(Host(host.to_owned())),
            Some(message) => {
                refuse(item, kind, message, cx);
                None
            }
        }
    }
}

/// A text, or a host.
impl Value for String {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        match kind {
            ValueKind::Host => Host::from_item(item, kind, cx).map(|host| host.0),
            _ => string(item, kind, cx).map(str::to_owned),
        }
    }
}

/// What is wrong with a host.
fn mistake(host: &str) -> Option<&'static str> {
    // An IPv6 address may name its network interface: `fe80::1%eth0`.
    let ip = host.split('%').next().unwrap_or(host);
    if host.trim().is_empty() {
        Some("empty: give a host name or an IP address")
    } else if name::is_an_address(host) {
        Some("more than a host: give a host name or an IP address, or use `url` instead")
    } else if host.contains(',') {
        Some("several hosts: give each its own database, and list those as `peers`")
    } else if host.starts_with('/') {
        Some("a socket: peers are reached over TCP, so give a host name or an IP address")
    } else if ip.parse::<IpAddr>().is_ok() {
        None
    } else {
        match host.parse::<HostPort>().map(|address| address.port()) {
            Ok(None) if !host.starts_with('[') => None,
            Ok(Some(_)) => Some("a host with a port: give the port in `port`"),
            _ => Some("not a host name or an IP address (IPv6 without brackets)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_and_ip_addresses_are_accepted() {
        for host in [
            "h",
            "my_host.local.",
            "größe.example",
            "10.0.0.1",
            "::1",
            "fe80::1%eth0",
        ] {
            assert_eq!(mistake(host), None, "{host}");
        }
    }

    #[test]
    fn other_texts_are_refused_as_hosts() {
        for (host, expected) in [
            ("", "empty"),
            (" ", "empty"),
            ("h:3306", "give the port in `port`"),
            ("a,b", "list those as `peers`"),
            ("mysql://app:secret@h", "use `url` instead"),
            ("app:secret@h", "use `url` instead"),
            ("[::1]", "IPv6 without brackets"),
            ("/run/mysqld.sock", "a socket"),
            ("a b", "not a host name"),
            ("a/b", "not a host name"),
        ] {
            let message = mistake(host).unwrap();
            assert!(message.contains(expected), "{host}: {message}");
        }
    }
}
