//! Whether a text is a url that names one MySQL server.
//!
//! The driver parses it again when it connects; by then it is late, and it would quote what it does
//! not understand. The messages here repeat nothing of the url.

use url::{ParseError, Url};

use crate::problem::Finding;
use crate::suggest::nearest;

const FORM: &str = "mysql://user:password@host:port/name";

/// The parameters that the driver is known to take.
const PARAMETERS: [&str; 23] = [
    "abs_conn_ttl",
    "abs_conn_ttl_jitter",
    "built_in_roots",
    "client_found_rows",
    "compression",
    "conn_ttl",
    "enable_cleartext_plugin",
    "inactive_connection_ttl",
    "max_allowed_packet",
    "pool_max",
    "pool_min",
    "prefer_socket",
    "require_ssl",
    "reset_connection",
    "secure_auth",
    "socket",
    "stmt_cache_size",
    "tcp_keepalive",
    "tcp_nodelay",
    "ttl_check_interval",
    "verify_ca",
    "verify_identity",
    "wait_timeout",
];

/// What is doubtful about each parameter of a url that was checked. A later driver may take more, so
/// that is no error; a name that is not known is not shown.
pub(super) fn doubts(url: &str) -> Vec<Finding> {
    let Ok(url) = Url::parse(url) else {
        return Vec::new();
    };
    let unknown = url
        .query_pairs()
        .filter(|(name, _)| !PARAMETERS.contains(&&**name));
    let finding = |name: &str| {
        let message = "a parameter in its query is none that the driver is known to take";
        let finding = Finding::new(message).allowed(PARAMETERS.join(", "));
        finding.near(nearest(name, PARAMETERS))
    };
    unknown.map(|(name, _)| finding(&name)).collect()
}

/// Says what is wrong with a url, and what would be right.
pub(super) fn check(text: &str) -> Result<(), String> {
    let Some((scheme, rest)) = text.trim().split_once("://") else {
        return Err(format!("not a url: expected {FORM}"));
    };
    if !scheme.eq_ignore_ascii_case("mysql") {
        return Err(format!("the scheme is not `mysql`: expected {FORM}"));
    }

    // The list of hosts is found before the parser sees it, which would take it for a bad port, or
    // even for one host.
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('@') {
        return Err(
            "an `@` behind the host: write `/`, `?`, `#` and `@` in a user, password or name as \
             `%2F`, `%3F`, `%23` and `%40`"
                .to_owned(),
        );
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if host.contains(',') {
        return Err(
            "several hosts in one url: give each a database of its own, and list those as `peers`"
                .to_owned(),
        );
    }

    let url = Url::parse(text).map_err(|error| match error {
        ParseError::InvalidPort => bad_port(),
        ParseError::EmptyHost => no_host(),
        // The parser's own words name the rule, never the text.
        other => format!("not a url ({other}): expected {FORM}"),
    })?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(no_host());
    }
    if url.port() == Some(0) {
        return Err(bad_port());
    }
    Ok(())
}

/// Whether the query of a url that was checked has this parameter.
pub(super) fn has(url: &str, parameter: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.query_pairs().any(|(name, _)| name == parameter))
}

/// Which of `user`, `password` and `name` a url that was checked has.
pub(super) fn parts(url: &str) -> Vec<&'static str> {
    let Ok(url) = Url::parse(url) else {
        return Vec::new();
    };
    let all = [
        ("user", !url.username().is_empty()),
        ("password", url.password().is_some()),
        ("name", !url.path().trim_matches('/').is_empty()),
    ];
    let present = all.into_iter().filter(|(_, present)| *present);
    present.map(|(part, _)| part).collect()
}

fn no_host() -> String {
    format!("no host in the url: expected {FORM}")
}

fn bad_port() -> String {
    "the url's port is not a port: expected 1 to 65535".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(urls: &[&str], why: &str) {
        for url in urls {
            let message = check(url).unwrap_err();
            assert!(message.contains(why), "{url}: {message}");
            assert!(!message.contains("s3cret"), "{url}: {message}");
        }
    }

    #[test]
    fn a_url_with_one_host_is_right() {
        for url in [
            "mysql://h",
            "MYSQL://app:s3cret@h:3306/shop?pool_max=10",
            "mysql://app:s3%2Fc%40ret@10.0.0.1/shop",
            "mysql://app:s3,cret@h/shop",
            "mysql://[::1]:3306/shop",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_text_that_is_no_url_is_refused() {
        refused(
            &["", "h", "app:s3cret@h", "mysql:h"],
            "not a url: expected mysql://",
        );
        refused(
            &["mysql://h o", "mysql://app:s3cret@h^/x"],
            "(invalid domain character)",
        );
        refused(&["mysql://app:s3cret@[::1/x"], "(invalid IPv6 address)");
    }

    #[test]
    fn another_scheme_is_refused() {
        refused(
            &["postgres://app:s3cret@h", "://h", "s3cret://h"],
            "the scheme is not `mysql`",
        );
    }

    #[test]
    fn a_url_without_a_host_is_refused() {
        refused(
            &[
                "mysql://",
                "mysql:///shop",
                "mysql://:3306",
                "mysql://app:s3cret@/shop",
            ],
            "no host",
        );
    }

    #[test]
    fn several_hosts_are_to_be_named_as_peers() {
        refused(
            &[
                "mysql://a,b/shop",
                "mysql://app:s3cret@a:3306,b:3306/shop",
                "mysql://a,b",
            ],
            "list those as `peers`",
        );
    }

    #[test]
    fn a_bad_port_is_refused() {
        refused(
            &[
                "mysql://h:0",
                "mysql://h:65536",
                "mysql://h:-1",
                "mysql://app:s3cret@h:s3cret",
            ],
            "expected 1 to 65535",
        );
    }

    #[test]
    fn a_password_that_cuts_the_url_short_is_to_be_escaped() {
        // Left alone, the first one would connect to a host named `app`.
        refused(
            &[
                "mysql://app:1/s3cret@h/x",
                "mysql://app:s3cret#@h",
                "mysql://app:?s3cret@h",
            ],
            "`%2F`",
        );
    }
}
