//! One URL for several peers: `mysql://user:password@h1:3306,h2:3307,[::1]:3308/db?..`.
//!
//! The driver takes `h1,h2` for the name of one host. So the list is split here into one URL for each
//! host; everything else is kept as it is.

use evenhand_config::{HostPort, HostPortError};

const SCHEME: &str = "mysql";

/// The scheme of a URL whose host is looked up for SRV records.
pub(crate) const SRV: &str = "mysql+srv";
/// The scheme of a URL whose host stands for all of its addresses.
const DNS: &str = "mysql+dns";

/// Why the URL of a pool is invalid. Never shows what precedes the `@`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `mysql://`.
    #[error("invalid pool URL: it does not begin with `mysql://`")]
    Scheme,
    /// An `@` follows the hosts. A `/`, `?` or `#` in a user name or password ends the list of hosts
    /// early.
    #[error(
        "invalid pool URL: an `@` follows the hosts; write `/`, `?`, `#` and `@` in a user name or \
         password as `%2F`, `%3F`, `%23` and `%40`"
    )]
    Reserved,
    /// A host has no name.
    #[error("invalid pool URL: host {0} of the list has no name")]
    EmptyHost(
        /// Its position in the list, from 1.
        usize,
    ),
    /// A host is neither a name nor an address.
    #[error("invalid pool URL: `{0}` is not a host")]
    BadHost(
        /// The host, as given.
        String,
    ),
    /// What follows a host's colon is not a port. It is not shown: if the `@` and the host are missing,
    /// it is the password.
    #[error("invalid pool URL: the port of host `{0}` is not a number from 1 to 65535")]
    BadPort(
        /// The host, as given.
        String,
    ),
    /// It lists several hosts, and gives one `socket` for all of them.
    #[error("invalid pool URL: `socket` is one server, and the URL lists several hosts")]
    Socket,
    /// It begins with `mysql+srv://` or `mysql+dns://`, and the crate is built without the feature `dns`.
    #[error(
        "invalid pool URL: names are looked up in DNS with the feature `dns` of evenhand-mysql only"
    )]
    NoDns,
    /// Two hosts are the same, with the same port.
    #[error("invalid pool URL: the host `{0}` is listed twice")]
    DuplicateHost(
        /// The host and its port.
        String,
    ),
}

/// The scheme of a URL whose host is looked up in DNS, and the URL as the driver knows it.
pub(crate) fn of_name(url: &str) -> Result<Option<(&'static str, String)>, UrlError> {
    let Some((scheme, rest)) = url.trim().split_once("://") else {
        return Ok(None);
    };
    let mut known = [SRV, DNS].into_iter();
    let Some(scheme) = known.find(|known| scheme.eq_ignore_ascii_case(known)) else {
        return Ok(None);
    };
    authority(rest)?;
    Ok(Some((scheme, format!("{SCHEME}://{rest}"))))
}

/// Login and hosts, and what follows them.
fn authority(rest: &str) -> Result<(&str, &str), UrlError> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    match tail.contains('@') {
        true => Err(UrlError::Reserved),
        false => Ok((authority, tail)),
    }
}

/// The URL of each host, by `host:port`.
pub(crate) fn split(url: &str) -> Result<Vec<(String, String)>, UrlError> {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(UrlError::Scheme);
    }
    let (authority, tail) = authority(rest)?;
    let (login, hosts) = match authority.rfind('@') {
        Some(at) => authority.split_at(at + 1),
        None => ("", authority),
    };
    let mut peers: Vec<(String, String)> = Vec::new();
    for (i, text) in hosts.split(',').enumerate() {
        let name = name(text.trim(), i + 1)?;
        if peers.iter().any(|(other, _)| *other == name) {
            return Err(UrlError::DuplicateHost(name));
        }
        let url = format!("{SCHEME}://{login}{name}{tail}");
        peers.push((name, url));
    }
    Ok(peers)
}

/// `host:port` in canonical spelling.
fn name(text: &str, number: usize) -> Result<String, UrlError> {
    text.parse()
        .map(|host: HostPort| host.to_string())
        .map_err(|error| match error {
            HostPortError::BadHost(host) => UrlError::BadHost(host),
            HostPortError::BadPort(host) => UrlError::BadPort(host),
            _ => UrlError::EmptyHost(number),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(url: &str) -> Vec<String> {
        let peers = split(url).unwrap();
        peers.into_iter().map(|(_, url)| url).collect()
    }

    #[track_caller]
    fn refused(url: &str, error: UrlError) {
        let refused = split(url).unwrap_err();
        assert_eq!(refused, error);
        assert!(!format!("{refused} {refused:?}").contains("s3cret"));
    }

    #[test]
    fn passwords_of_urls_of_names_are_not_taken_for_what_follows_the_host() {
        for scheme in [SRV, DNS] {
            for login in ["u:7?s3cret", "u:7/s3cret", "u:7#s3cret"] {
                let refused = of_name(&format!("{scheme}://{login}@h/d")).unwrap_err();
                assert_eq!(refused, UrlError::Reserved);
            }
            let url = format!("{scheme}://u:p@h/d?pool_max=3");
            let expected = Some((scheme, "mysql://u:p@h/d?pool_max=3".to_owned()));
            assert_eq!(of_name(&url).unwrap(), expected);
        }
        assert_eq!(of_name("mysql://h/d").unwrap(), None);
        assert_eq!(of_name("h").unwrap(), None);
    }

    #[test]
    fn each_host_gets_its_own_url() {
        let url = "mysql://a%2Cb:s3,c%40ret@h1:3306,H2,[::1]:3308,[2001:0DB8::1]/db%20x?pool_max=3";
        assert_eq!(
            urls(url),
            [
                "mysql://a%2Cb:s3,c%40ret@h1:3306/db%20x?pool_max=3",
                "mysql://a%2Cb:s3,c%40ret@h2:3306/db%20x?pool_max=3",
                "mysql://a%2Cb:s3,c%40ret@[::1]:3308/db%20x?pool_max=3",
                "mysql://a%2Cb:s3,c%40ret@[2001:db8::1]:3306/db%20x?pool_max=3",
            ]
        );
        assert_eq!(urls("MySQL://h"), ["mysql://h:3306"]);
        let urls_of_two = urls("mysql://h,i?a=b");
        assert_eq!(urls_of_two, ["mysql://h:3306?a=b", "mysql://i:3306?a=b"]);
        assert_eq!(urls("mysql://u:a@b@h/d"), ["mysql://u:a@b@h:3306/d"]);
        let names: Vec<String> = split(url).unwrap().into_iter().map(|(n, _)| n).collect();
        let expected = ["h1:3306", "h2:3306", "[::1]:3308", "[2001:db8::1]:3306"];
        assert_eq!(names, expected);
    }

    #[test]
    fn errors_do_not_show_the_password() {
        refused("h1,h2", UrlError::Scheme);
        refused("postgres://u:s3cret@h", UrlError::Scheme);
        refused("mysql://u:s3cret@", UrlError::EmptyHost(1));
        refused("mysql://u:s3cret@h,,i/d", UrlError::EmptyHost(2));
        refused("mysql://u:s3cret@h,:3306", UrlError::EmptyHost(2));
        refused("mysql://u:s3cret@h,/d", UrlError::EmptyHost(2));
        for port in ["", "x", "0", "65536", "-1", "+1", "33:06"] {
            let url = format!("mysql://u:s3cret@h,i:{port}/d");
            refused(&url, UrlError::BadPort("i".into()));
        }
        refused("mysql://u:s3cret", UrlError::BadPort("u".into()));
        refused("mysql://u:s3cret@[::1", UrlError::BadHost("[::1".into()));
        refused("mysql://u:s3cret@[x]:1", UrlError::BadHost("[x]:1".into()));
        refused(
            "mysql://u:s3cret@[::1]1",
            UrlError::BadHost("[::1]1".into()),
        );
        let twice = |host: &str| UrlError::DuplicateHost(host.into());
        refused("mysql://u:s3cret@h,i,H:3306", twice("h:3306"));
        refused("mysql://u:s3cret@[::1],[0:0::1]:3306", twice("[::1]:3306"));
        refused("mysql://u:p/s3cret@h,i", UrlError::Reserved);
        refused("mysql://u:s3cret?1@h,i", UrlError::Reserved);
    }
}
