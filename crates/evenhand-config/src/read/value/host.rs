//! A host as the resolver takes it.

use std::net::IpAddr;

use super::context::{Context, given};
use super::name;
use crate::problem::Finding;
use crate::tree::Table;

/// The host; none if it has been reported. It is not looked up; what is caught are the slips that
/// would make every attempt on the peer fail.
pub(super) fn read(table: &Table, key: &str, cx: &mut Context<'_>) -> Option<String> {
    let (item, kind) = given(table, key)?;
    let host = cx.string(item, kind)?;
    match wrong(host) {
        None => Some(host.to_owned()),
        Some(message) => {
            let finding = Finding::new(message).allowed(kind.expected());
            cx.report.wrong(item, finding);
            None
        }
    }
}

fn wrong(host: &str) -> Option<&'static str> {
    // An IPv6 address may name its network interface: `fe80::1%eth0`.
    let ip = host.split('%').next().unwrap_or(host);
    if host.trim().is_empty() {
        Some("empty: give a host name or an IP address")
    } else if name::is_an_address(host) {
        Some("more than a host: give a host name or an IP address, or use `url` instead")
    } else if host.contains(',') {
        Some("several hosts: give each a database of its own, and list those as `peers`")
    } else if host.starts_with('/') {
        Some("a socket: peers are reached over TCP, so give a host name or an IP address")
    } else if ip.parse::<IpAddr>().is_ok()
        || !host.contains(|c: char| ":/[]".contains(c) || c.is_whitespace())
    {
        None
    } else if host
        .split_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        Some("a host with a port: give the port in `port`")
    } else {
        Some("not a host name or an IP address (IPv6 without brackets)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_and_ip_addresses_are_hosts() {
        for host in [
            "h",
            "my_host.local.",
            "größe.example",
            "10.0.0.1",
            "::1",
            "fe80::1%eth0",
        ] {
            assert_eq!(wrong(host), None, "{host}");
        }
    }

    #[test]
    fn what_no_resolver_takes_is_refused() {
        for (host, right) in [
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
            let message = wrong(host).unwrap();
            assert!(message.contains(right), "{host}: {message}");
        }
    }
}
