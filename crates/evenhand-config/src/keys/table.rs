//! The table of keys. The rows of settings are in `plan/settings.rs`.

use std::time::Duration;

use super::key::ValueKind::{
    AddressMap, Choice, File, Host, Hosts, Integer, Probe, Secret, Statements, Switch, Text,
    Variable,
};
use super::key::{Key, Scope, ValueKind};
use crate::plan::{
    AllDownKind, DiscoverKind, MAX_CHECK_INTERVAL, PickKind, ProbeKind, for_each_setting,
};

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const TIME: ValueKind = ValueKind::Duration {
    max: MAX_CHECK_INTERVAL,
    none: false,
};
const TIME_OR_NONE: ValueKind = ValueKind::Duration {
    max: MAX_CHECK_INTERVAL,
    none: true,
};
const LIFETIME: ValueKind = ValueKind::Duration {
    max: MONTH,
    none: true,
};
const COUNT: ValueKind = Integer {
    min: 1,
    max: 1000,
    none: false,
};
const COUNT_OR_NONE: ValueKind = Integer {
    min: 1,
    max: 1000,
    none: true,
};
/// More connections than one server accepts.
const MAX_CONNECTIONS: u32 = 100_000;

const fn key(
    name: &'static str,
    scope: Scope,
    kind: ValueKind,
    default: &'static str,
    setting: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        name,
        scope,
        kind,
        default,
        doc,
        setting,
    }
}

/// The path of the setter of a setting: the given one, or the one of `PoolOptions` with the name of the key.
macro_rules! setter {
    ($name:ident) => {
        concat!("PoolOptions::", stringify!($name))
    };
    ($name:ident $setter:literal) => {
        $setter
    };
}

#[rustfmt::skip]
macro_rules! define_keys {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = ($kind:expr, $default:literal $(, $setter:literal)?);
    )+) => {
        pub(super) const KEYS: &[Key] = &[
            key("url", Scope::Peer, ValueKind::Url, "none", "mysql_async::Opts::from_url",
                "The whole address. It excludes `host`, `port`, `user`, `name` and the passwords, and inherits none of \
                 them. Its query (`?pool_max=10`) belongs to the driver and takes precedence over inherited keys."),
            key("host", Scope::Peer, Host, "none", "mysql_async::OptsBuilder::ip_or_hostname",
                "The server, if there is no `url`. IPv6 addresses have no brackets."),
            key("hosts", Scope::Peer, Hosts, "none", "PoolOptions::open_config",
                "A name in DNS that stands for several servers, in place of `host` and `port`: each address of it is a peer \
                 with this table's settings, or each target of its SRV records, \
                 with 100 times the record's weight. It needs the feature `dns` of evenhand-mysql."),
            key("port", Scope::Peer, Integer { min: 1, max: 65_535, none: false }, "3306", "mysql_async::OptsBuilder::tcp_port",
                "The TCP port of the server."),
            key("weight", Scope::Peer, Integer { min: 0, max: 1_000_000, none: false }, "1", "PeersHandle::set_weight",
                "The share of the work relative to other peers, if `pick` is `\"weighted\"`. A peer with weight 0 gets none."),
            key("user", Scope::Inherited, Text, "none", "mysql_async::OptsBuilder::user",
                "The user to log in as."),
            key("password", Scope::Inherited, Secret, "none", "mysql_async::OptsBuilder::pass",
                "The password itself. A table has at most one of the three password keys, and the nearest table counts: \
                 an empty password in a peer hides an inherited one."),
            key("password_env", Scope::Inherited, Variable, "none", "mysql_async::OptsBuilder::pass",
                "The environment variable that holds the password."),
            key("password_file", Scope::Inherited, File, "none", "mysql_async::OptsBuilder::pass",
                "The file that holds the password, without the newline at its end. It is read each time the configuration is."),
            key("name", Scope::Inherited, Text, "none", "mysql_async::OptsBuilder::db_name",
                "The database (schema) to select."),
            key("pool_min", Scope::Inherited, Integer { min: 0, max: MAX_CONNECTIONS, none: false }, "10, or `pool_max` if that is less", "mysql_async::PoolConstraints",
                "The number of connections to the peer that are kept open while it is up."),
            key("pool_max", Scope::Inherited, Integer { min: 1, max: MAX_CONNECTIONS, none: false }, "100", "mysql_async::PoolConstraints",
                "The maximum number of connections to the peer in use at a time."),
            key("reset_connection", Scope::Inherited, Switch, "true", "mysql_async::PoolOpts::with_reset_connection",
                "Whether a connection is reset when it is returned."),
            key("init", Scope::Inherited, Statements, "none", "mysql_async::OptsBuilder::init",
                "The statements that each new connection begins with, in this order."),
            key("setup", Scope::Inherited, Statements, "none", "mysql_async::OptsBuilder::setup",
                "The statements that follow `init`, and each reset of a connection, in this order. What they set holds for \
                 every caller; what `init` sets is gone after the first."),
            key("tls", Scope::Inherited, Switch, "false; true where a `tls_` key is given", "mysql_async::OptsBuilder::ssl_opts",
                "Whether connections are encrypted and the server's certificate is verified."),
            key("tls_ca", Scope::Inherited, File, "the platform's roots", "mysql_async::SslOpts::with_root_certs",
                "The certificates that may sign the server's, in PEM or DER."),
            key("tls_cert", Scope::Inherited, File, "none", "mysql_async::ClientIdentity",
                "The client's certificate chain, for servers that ask for one; with `tls_key`."),
            key("tls_key", Scope::Inherited, File, "none", "mysql_async::ClientIdentity",
                "The private key of `tls_cert`."),
            key("tls_host_name", Scope::Inherited, Host, "the peer's host", "mysql_async::SslOpts::with_tls_hostname_override",
                "The name that the server's certificate must have, if it is not the host."),
            key("peers", Scope::Balanced, ValueKind::Aliases, "required", "PoolOptions::open_config",
                "The aliases of its peers. This key makes a database balanced. A peer may be in several lists, or in none."),
            $(key(stringify!($name), Scope::Setting, $kind, $default, setter!($name $($setter)?),
                concat!($($doc),+).trim_ascii_start()),)+
        ];
    };
}
for_each_setting!(define_keys);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_are_unique_and_documented() {
        let names: BTreeSet<&str> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len());
        for key in KEYS {
            let texts = [key.doc, key.default, key.setting];
            assert!(texts.iter().all(|text| !text.is_empty()), "{}", key.name);
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(key.name.bytes().all(is_plain), "{}", key.name);
            // Two underscores separate the parts of a variable's name.
            assert!(!key.name.contains("__"), "{}", key.name);
        }
    }

    #[test]
    fn expected_values_name_their_bounds() {
        let key = |name: &str| KEYS.iter().find(|key| key.name == name).unwrap();
        let expected = |name: &str| key(name).kind.expected();
        assert_eq!(expected("fall"), "an integer from 1 to 1000");
        assert_eq!(
            expected("idle_timeout"),
            "a string such as \"30s\", \"500ms\" or \"1m 30s\", at most \"30days\", or \"none\""
        );
        assert_eq!(
            expected("all_down"),
            "one of \"wait\", \"fail\", \"fail_open\""
        );
    }
}
