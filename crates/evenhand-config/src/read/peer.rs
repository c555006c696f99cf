//! The values of a peer.
//!
//! Each value is checked for itself; which keys a peer has is judged elsewhere. Whatever fails here
//! has been reported when this room answers with nothing.

use std::net::IpAddr;

use super::mysql_url;
use super::name;
use super::node::{Table, Value};
use super::report::Report;
use crate::plan::{Address, DEFAULT_PORT};
use crate::secret::Secret;

/// Where a peer is; none if it has no address, or a wrong one.
pub(super) fn address(peer: &Table<'_>, report: &mut Report<'_>) -> Option<Address> {
    let url = peer.get("url").and_then(|value| url(&value, report));
    let host = peer.get("host").and_then(|value| host(&value, report));
    let port = peer
        .get("port")
        .map_or(Some(DEFAULT_PORT), |value| port(&value, report));
    let user = text(peer, "user", report);
    let password = text(peer, "password", report);
    let name = text(peer, "name", report);

    if peer.has("url") {
        return Some(Address::Url(url?));
    }
    Some(Address::Parts {
        host: host?,
        port: port?,
        user,
        password: password.map(Secret::from),
        name,
    })
}

fn url(value: &Value<'_>, report: &mut Report<'_>) -> Option<Secret> {
    let url = value.string("a string", report)?;
    match mysql_url::check(url) {
        Ok(()) => Some(Secret::from(url)),
        Err(message) => {
            value.wrong(message, report);
            None
        }
    }
}

/// A host as the resolver takes it. It is not looked up; what is caught are the slips that would make
/// every attempt on the peer fail.
fn host(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let host = value.string("a string", report)?;
    // An IPv6 address may name its network interface: `fe80::1%eth0`.
    let is_ip = host
        .split('%')
        .next()
        .is_some_and(|ip| ip.parse::<IpAddr>().is_ok());
    let wrong = if host.trim().is_empty() {
        "empty: give a host name or an IP address"
    } else if name::is_an_address(host) {
        "more than a host: give a host name or an IP address, or use `url` instead"
    } else if host.contains(',') {
        "several hosts: give each a database of its own, and list those as `peers`"
    } else if is_ip || !host.contains([':', '/', '[', ']', ' ', '\t', '\r', '\n']) {
        return Some(host.to_owned());
    } else if host
        .split_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        "a host with a port: give the port in `port`"
    } else {
        "not a host name or an IP address (IPv6 without brackets)"
    };
    value.wrong(wrong, report);
    None
}

fn port(value: &Value<'_>, report: &mut Report<'_>) -> Option<u16> {
    let integer = value.integer("an integer from 1 to 65535", report)?;
    // The integer comes as text, and one that no type holds is out of range as well.
    match u16::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(port) if port > 0 => Some(port),
        _ => {
            value.wrong("not a port: expected an integer from 1 to 65535", report);
            None
        }
    }
}

/// An optional string, where an empty one counts as none.
fn text(peer: &Table<'_>, key: &str, report: &mut Report<'_>) -> Option<String> {
    let text = peer.get(key)?.string("a string", report)?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::read::tests::problem;

    fn address(keys: &str) -> Address {
        let text = format!("[databases.db0]\n{keys}");
        let config = Config::parse(&text, "f").unwrap();
        config.peer("db0").unwrap().address.clone()
    }

    fn wrong(keys: &str) -> String {
        problem(&format!("[databases.db0]\n{keys}"))
    }

    #[test]
    fn parts_that_are_not_given_have_their_defaults() {
        let expected = Address::Parts {
            host: "h".to_owned(),
            port: DEFAULT_PORT,
            user: None,
            password: None,
            name: None,
        };
        assert_eq!(address("host = 'h'"), expected);
        // An empty string says the same as none.
        assert_eq!(
            address("host = 'h'\nuser = ''\npassword = ''\nname = ''"),
            expected
        );
    }

    #[test]
    fn parts_that_are_given_are_taken_as_they_are() {
        let expected = Address::Parts {
            host: "h".to_owned(),
            port: 3307,
            user: Some("u".to_owned()),
            password: Some(Secret::from(" p@/")),
            name: Some("n".to_owned()),
        };
        let keys = "host = 'h'\nport = 3307\nuser = 'u'\npassword = ' p@/'\nname = 'n'";
        assert_eq!(address(keys), expected);
    }

    #[test]
    fn a_url_is_taken_whole() {
        let url = "mysql://app:secret@10.0.0.1:3306/shop?prefer_socket=false";
        assert_eq!(
            address(&format!("url = '{url}'")),
            Address::Url(Secret::from(url))
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_says_which_is_expected() {
        for key in ["url", "host"] {
            assert_eq!(
                wrong(&format!("{key} = 7")),
                format!(
                    "f:2:{}: databases.db0.{key}: expected a string, found an integer",
                    key.len() + 4
                )
            );
        }
        for key in ["user", "password", "name"] {
            assert_eq!(
                wrong(&format!("host = 'h'\n{key} = ['secret']")),
                format!(
                    "f:3:{}: databases.db0.{key}: expected a string, found an array",
                    key.len() + 4
                )
            );
        }
        assert_eq!(
            wrong("host = 'h'\nport = '3306'"),
            "f:3:8: databases.db0.port: expected an integer from 1 to 65535, found a string"
        );
    }

    #[test]
    fn every_notation_of_an_integer_is_a_port() {
        for port in [
            "3306",
            "+3306",
            "3_306",
            "0xCEA",
            "0o6352",
            "0b110011101010",
        ] {
            let Address::Parts { port, .. } = address(&format!("host = 'h'\nport = {port}")) else {
                panic!("expected parts");
            };
            assert_eq!(port, 3306);
        }
    }

    #[test]
    fn a_port_out_of_range_is_refused() {
        for port in [
            "0",
            "65536",
            "-1",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(
                wrong(&format!("host = 'h'\nport = {port}")),
                "f:3:8: databases.db0.port: not a port: expected an integer from 1 to 65535"
            );
        }
    }

    #[test]
    fn an_empty_host_is_refused() {
        for host in ["", " "] {
            assert_eq!(
                wrong(&format!("host = '{host}'")),
                "f:2:8: databases.db0.host: empty: give a host name or an IP address"
            );
        }
    }

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
            assert!(matches!(
                address(&format!("host = '{host}'")),
                Address::Parts { .. }
            ));
        }
    }

    #[test]
    fn a_host_that_no_resolver_takes_is_refused() {
        for (host, right) in [
            ("h:3306", "give the port in `port`"),
            ("a,b", "list those as `peers`"),
            ("mysql://app:secret@h", "use `url` instead"),
            ("app:secret@h", "use `url` instead"),
            ("[::1]", "IPv6 without brackets"),
            ("/run/mysqld.sock", "not a host name"),
            ("a b", "not a host name"),
        ] {
            let shown = wrong(&format!("host = '{host}'"));
            assert!(shown.starts_with("f:2:8: databases.db0.host: "), "{shown}");
            assert!(shown.contains(right), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
