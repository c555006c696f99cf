//! The table of keys.

use std::time::Duration;

use super::{Key, Kind, Scope};
use crate::plan::{ALL_DOWN_WORDS, PICK_WORDS};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const TIME: Kind = Kind::Duration {
    most: DAY,
    none: false,
};
const TIME_OR_NONE: Kind = Kind::Duration {
    most: DAY,
    none: true,
};
const LIFETIME: Kind = Kind::Duration {
    most: MONTH,
    none: true,
};
const COUNT: Kind = Kind::Integer {
    least: 1,
    most: 1000,
    none: false,
};
/// More connections than one server takes.
const CONNECTIONS: u32 = 100_000;

const fn key(
    name: &'static str,
    scope: Scope,
    kind: Kind,
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

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("url", Scope::Peer, Kind::Url, "none", "mysql_async::Opts::from_url",
        "The whole address. It excludes `host`, `port`, `user`, `name` and the passwords, and inherits none of them. Its \
         query (`?pool_max=10`) belongs to the driver, and comes before what is inherited."),
    key("host", Scope::Peer, Kind::Host, "none", "mysql_async::OptsBuilder::ip_or_hostname",
        "The server, where no `url` is given. IPv6 addresses stand without brackets."),
    key("port", Scope::Peer, Kind::Integer { least: 1, most: 65_535, none: false }, "3306", "mysql_async::OptsBuilder::tcp_port",
        "The server's TCP port."),
    key("weight", Scope::Peer, Kind::Integer { least: 0, most: 1_000_000, none: false }, "1", "evenhand::Peers::set_weight",
        "How much of the work it gets, compared with others, where `pick` is `\"weighted\"`. One that weighs nothing gets none."),
    key("user", Scope::Inherited, Kind::Text, "none", "mysql_async::OptsBuilder::user",
        "Whom to log in as."),
    key("password", Scope::Inherited, Kind::Secret, "none", "mysql_async::OptsBuilder::pass",
        "The password itself. Of the three ways to give one, a table has at most one, and the nearest table counts: \
         an empty one in a peer hides what it would inherit."),
    key("password_env", Scope::Inherited, Kind::Variable, "none", "mysql_async::OptsBuilder::pass",
        "The variable of the environment that holds the password."),
    key("password_file", Scope::Inherited, Kind::File, "none", "mysql_async::OptsBuilder::pass",
        "The file that holds the password, less the newline at its end. It is read whenever the configuration is."),
    key("name", Scope::Inherited, Kind::Text, "none", "mysql_async::OptsBuilder::db_name",
        "The database (schema) to select."),
    key("pool_min", Scope::Inherited, Kind::Integer { least: 0, most: CONNECTIONS, none: false }, "10, or `pool_max` if that is less", "mysql_async::PoolConstraints",
        "So many connections to the peer are kept open while it is up."),
    key("pool_max", Scope::Inherited, Kind::Integer { least: 1, most: CONNECTIONS, none: false }, "100", "mysql_async::PoolConstraints",
        "So many connections to the peer may be out at a time."),
    key("reset_connection", Scope::Inherited, Kind::Switch, "true", "mysql_async::PoolOpts::with_reset_connection",
        "Whether a connection is reset when it is returned."),
    key("tls", Scope::Inherited, Kind::Switch, "false; true where a `tls_` key is given", "mysql_async::OptsBuilder::ssl_opts",
        "Whether connections are encrypted, and the server is verified."),
    key("tls_ca", Scope::Inherited, Kind::File, "the platform's roots", "mysql_async::SslOpts::with_root_certs",
        "The certificates that may sign the server's, in PEM or DER."),
    key("tls_cert", Scope::Inherited, Kind::File, "none", "mysql_async::ClientIdentity",
        "The client's certificate chain, for servers that ask for one; with `tls_key`."),
    key("tls_key", Scope::Inherited, Kind::File, "none", "mysql_async::ClientIdentity",
        "The key of `tls_cert`."),
    key("tls_host_name", Scope::Inherited, Kind::Host, "the peer's host", "mysql_async::SslOpts::with_tls_hostname_override",
        "The name that the server's certificate must have, where it is not that of the host."),
    key("peers", Scope::Balanced, Kind::Aliases, "required", "Pool::from_config",
        "The aliases of its peers. It is what makes a database balanced. A peer may stand in several lists, or in none."),
    key("pick", Scope::Setting, Kind::Choice(PICK_WORDS), "uniform", "PoolOptions::pick",
        "Which of the peers that are up gets an attempt: any, in proportion to `weight`, or of two random ones the one with \
         fewer attempts in flight."),
    key("check_interval", Scope::Setting, TIME, "30s", "PoolOptions::check_interval",
        "The longest time between two probes of an ejected peer."),
    key("first_recheck", Scope::Setting, TIME, "1s", "PoolOptions::first_recheck",
        "How soon an ejected peer is first probed. After each probe that fails the time doubles, up to `check_interval`, \
         which it must not exceed."),
    key("keep", Scope::Setting, Kind::Keep, "0", "PoolOptions::keep",
        "A peer is not ejected if fewer than so many, or than this share of all (rounded up), would be left up."),
    key("all_down", Scope::Setting, Kind::Choice(ALL_DOWN_WORDS), "wait", "PoolOptions::all_down",
        "What a checkout does while every peer is out: wait for one within its time, fail at once, or make one attempt on the \
         peer that is due soonest."),
    key("attempt_timeout", Scope::Setting, TIME, "2s", "PoolOptions::attempt_timeout",
        "How long one peer may take to give a connection. At most `checkout_timeout`."),
    key("checkout_timeout", Scope::Setting, TIME, "10s", "PoolOptions::checkout_timeout",
        "How long a checkout may take in all."),
    key("hedge_after", Scope::Setting, TIME_OR_NONE, "none", "PoolOptions::hedge_after",
        "A checkout that has no connection after this time asks a second peer as well. At most `checkout_timeout`."),
    key("try_timeout", Scope::Setting, TIME, "5s", "PoolOptions::try_timeout",
        "How long idempotent work may take on one peer. At most `work_timeout`."),
    key("work_timeout", Scope::Setting, TIME, "30s", "PoolOptions::work_timeout",
        "How long idempotent work, or a transaction that may be run again, may take in all."),
    key("transaction_attempts", Scope::Setting, COUNT, "5", "PoolOptions::transaction_attempts",
        "How often a transaction is run at most."),
    key("max_connections", Scope::Setting, Kind::Integer { least: 1, most: CONNECTIONS, none: true }, "none", "PoolOptions::max_connections",
        "How many connections may be out at a time in all, over every peer."),
    key("max_lifetime", Scope::Setting, LIFETIME, "30m", "PoolOptions::max_lifetime",
        "How long a connection lives."),
    key("idle_timeout", Scope::Setting, LIFETIME, "1m", "PoolOptions::idle_timeout",
        "How long a connection beyond `pool_min` may be idle."),
    key("writable", Scope::Setting, Kind::Switch, "false", "PoolOptions::writable",
        "Whether every peer must take writes, so that a read-only one is ejected."),
    key("probe", Scope::Setting, Kind::Probe, "ready; writable where `writable` is true", "PoolOptions::probe",
        "What a peer must do to count as ready for work. With a table, the first value that `query` gives must be `expect`."),
    key("probe_timeout", Scope::Setting, TIME, "as `attempt_timeout`", "PoolOptions::probe_timeout",
        "How long one probe may take."),
    key("synced", Scope::Setting, Kind::Switch, "false", "PoolOptions::synced",
        "Whether Galera nodes must be synced."),
    key("check_up_every", Scope::Setting, TIME_OR_NONE, "5s", "PoolOptions::check_up_every",
        "How often a peer that is up is checked, unless traffic has proved it since."),
    key("fall", Scope::Setting, COUNT, "3", "PoolOptions::fall",
        "So many failed checks in a row eject a peer that is up."),
    key("rise", Scope::Setting, COUNT, "1", "PoolOptions::rise",
        "So many successful probes in a row bring an ejected peer back."),
    key("end_on_lost_peer", Scope::Setting, Kind::Switch, "true", "PoolOptions::end_on_lost_peer",
        "Whether an operation that waits on a connection ends when its peer is found lost."),
];
