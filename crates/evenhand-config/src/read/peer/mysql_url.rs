//! The URL of one MySQL server.
//!
//! The driver parses it again when it connects, but then it is late, and the driver's errors quote the URL. The
//! messages here do not.

use url::Url;

use crate::host_port::{HostPort, HostPortError};
use crate::problem::Finding;
use crate::suggest::nearest;

const FORM: &str = "mysql://user:password@host:port/name";

/// The parameters that the driver is known to accept.
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

/// A warning for each unknown parameter of a checked URL. It is no error, because a later version of the driver
/// may accept it. Its name is not shown.
pub(super) fn unknown_parameters(url: &str) -> Vec<Finding> {
    let Ok(url) = Url::parse(url) else {
        return Vec::new();
    };
    let unknown = url
        .query_pairs()
        .filter(|(name, _)| !PARAMETERS.contains(&&**name));
    let finding = |name: &str| {
        let message = "the query has a parameter that the driver is not known to accept";
        let finding = Finding::new(message).expected_only(PARAMETERS.join(", "));
        finding.suggest(nearest(name, PARAMETERS))
    };
    unknown.map(|(name, _)| finding(&name)).collect()
}

/// What is wrong with a URL, and what would be right.
pub(super) fn check(text: &str) -> Result<(), String> {
    let Some((scheme, rest)) = text.trim().split_once("://") else {
        return Err(format!("not a URL: expected {FORM}"));
    };
    if !scheme.eq_ignore_ascii_case("mysql") {
        return Err(format!("the scheme is not `mysql`: expected {FORM}"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('@') {
        return Err(
            "an `@` after the host: write `/`, `?`, `#` and `@` in a user, password or name as \
             `%2F`, `%3F`, `%23` and `%40`"
                .to_owned(),
        );
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if host.contains(',') {
        return Err(
            "several hosts in one URL: give each its own database, and list those as `peers`"
                .to_owned(),
        );
    }
    match host.parse::<HostPort>() {
        Err(HostPortError::EmptyHost) => Err(format!("no host in the URL: expected {FORM}")),
        Err(HostPortError::BadPort(_)) => {
            Err("invalid port in the URL: expected 1 to 65535".to_owned())
        }
        Err(HostPortError::BadHost(_)) => Err(format!("invalid host in the URL: expected {FORM}")),
        // The message of the parser does not quote the text.
        Ok(_) => match Url::parse(text) {
            Err(error) => Err(format!("not a URL ({error}): expected {FORM}")),
            Ok(_) => Ok(()),
        },
    }
}

/// Whether the query of a checked URL has this parameter.
pub(super) fn has(url: &str, parameter: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.query_pairs().any(|(name, _)| name == parameter))
}

/// Which of `user`, `password` and `name` a checked URL has.
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
    fn url_with_one_host_is_accepted() {
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
    fn text_that_is_not_a_url_is_refused() {
        refused(
            &["", "h", "app:s3cret@h", "mysql:h"],
            "not a URL: expected mysql://",
        );
        refused(&["mysql://app:s3cret@h^/x"], "(invalid domain character)");
        refused(
            &["mysql://h o", "mysql://app:s3cret@[::1/x"],
            "invalid host",
        );
    }

    #[test]
    fn other_scheme_is_refused() {
        refused(
            &["postgres://app:s3cret@h", "://h", "s3cret://h"],
            "the scheme is not `mysql`",
        );
    }

    #[test]
    fn url_without_host_is_refused() {
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
    fn url_with_several_hosts_is_refused() {
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
    fn invalid_port_is_refused() {
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
    fn unescaped_password_is_refused() {
        // The driver would connect to a host named `app` in the first one.
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
