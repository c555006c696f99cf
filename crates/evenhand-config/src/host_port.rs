//! The host and the port of a URL. The only parser of hosts in Evenhand.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::plan::DEFAULT_PORT;

/// A host with an optional TCP port, as in a URL: `db0`, `10.0.0.1:3307`, `[::1]:3306`.
///
/// `Display` prints `host:port` in one spelling for the same host: in lower case, and with
/// [`DEFAULT_PORT`] if there is no port. It does not look up the host.
///
/// ```
/// use evenhand_config::HostPort;
///
/// let address: HostPort = "[2001:0DB8::1]:3307".parse()?;
/// assert_eq!(address.host(), "2001:db8::1");
/// assert_eq!(address.port(), Some(3307));
/// assert_eq!("DB0".parse::<HostPort>()?.to_string(), "db0:3306");
/// # Ok::<(), evenhand_config::HostPortError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: Option<u16>,
}

/// Why a text is not a host with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPortError {
    /// There is no host.
    #[error("no host")]
    EmptyHost,
    /// The host is neither a name nor an IP address.
    #[error("`{0}` is not a host")]
    BadHost(
        /// The host, as it is in the text.
        String,
    ),
    /// The port is not a number from 1 to 65535. It is not shown, because it is the password if a URL lacks
    /// its host.
    #[error("invalid port after the host `{0}`: expected 1 to 65535")]
    BadPort(
        /// The host, in lower case.
        String,
    ),
}

impl HostPort {
    /// The host name in lower case, or the IP address; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0. `None` if the text has none.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let bad_host = || HostPortError::BadHost(text.to_owned());
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or_else(bad_host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| bad_host())?;
            let port = rest.strip_prefix(':');
            if port.is_none() && !rest.is_empty() {
                return Err(bad_host());
            }
            (address.to_string(), port)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            let is_invalid =
                |c: char| c.is_whitespace() || c.is_control() || "[]\\/?#@,".contains(c);
            if host.is_empty() {
                return Err(HostPortError::EmptyHost);
            } else if host.contains(is_invalid) {
                return Err(HostPortError::BadHost(host.to_owned()));
            }
            (host.to_ascii_lowercase(), port)
        };
        let port = match port {
            None => None,
            // `parse` would accept a sign.
            Some(text) if !text.bytes().all(|byte| byte.is_ascii_digit()) => Some(0),
            Some(text) => Some(text.parse().unwrap_or(0)),
        };
        if port == Some(0) {
            return Err(HostPortError::BadPort(host));
        }
        Ok(HostPort { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.unwrap_or(DEFAULT_PORT);
        if self.host.contains(':') {
            write!(f, "[{}]:{port}", self.host)
        } else {
            write!(f, "{}:{port}", self.host)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_the_same_for_the_same_host() {
        for (text, shown) in [
            ("H", "h:3306"),
            ("h:3307", "h:3307"),
            ("10.0.0.1", "10.0.0.1:3306"),
            ("[0:0::1]", "[::1]:3306"),
            ("[2001:0DB8::1]:1", "[2001:db8::1]:1"),
        ] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn invalid_hosts_and_ports_are_refused() {
        let parse = |text: &str| text.parse::<HostPort>().unwrap_err();
        assert_eq!(parse(""), HostPortError::EmptyHost);
        assert_eq!(parse(":3306"), HostPortError::EmptyHost);
        for text in ["[::1", "[x]:1", "[::1]1", "a b", "a/b", "a\\b"] {
            assert_eq!(parse(text), HostPortError::BadHost(text.to_owned()));
        }
        for port in ["", "x", "0", "65536", "-1", "+1", "33:06"] {
            let error = parse(&format!("h:{port}"));
            assert_eq!(error, HostPortError::BadPort("h".to_owned()));
        }
    }
}
