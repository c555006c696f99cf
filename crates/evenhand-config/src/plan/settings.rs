//! The settings of a balanced database's pool: one table, from which the struct, its reader, the
//! inheritance and the list of keys follow. A new setting is a new row.

use std::time::Duration;

use super::choices::{AllDownKind, DiscoverKind, MinUp, PickKind, ProbeKind};
use crate::host_port::HostPort;

/// Passes the table of settings to the macro `$callback`.
///
/// A row is the documentation, the name of the key and the field, the type of its value, and in parentheses
/// the kind of value in a file, the default, and the setter of the API unless it is the one of `PoolOptions` with
/// the same name. The types and kinds need to be in scope where the callback uses them.
#[rustfmt::skip]
macro_rules! for_each_setting {
    ($callback:ident) => {
        $callback! {
            /// Which of the peers that are up gets an attempt: a random one, a random one in proportion to
            /// `weight`, or of two random ones the one with fewer attempts in flight.
            pick: PickKind = (Choice(PickKind::WORDS), "uniform");
            /// The longest time between two probes of an ejected peer.
            check_interval: Duration = (TIME, "30s", "PoolOptions::max_recheck_interval");
            /// The time from the ejection of a peer to its first probe. It doubles after each failed probe, up
            /// to `check_interval`, and must not exceed it.
            first_recheck: Duration = (TIME, "1s");
            /// The number of peers, or the share of them (rounded up), that stay up: failures do not eject a
            /// peer if fewer would be left.
            min_up: MinUp = (ValueKind::MinUp, "0");
            /// What a checkout does when no peer is left to try: wait, and ask them again, until it times out;
            /// fail at once; or go to peers that are out, as if they were up.
            all_down: AllDownKind = (Choice(AllDownKind::WORDS), "wait");
            /// The maximum number of attempts that one checkout makes.
            max_attempts: Option<u32> = (COUNT_OR_NONE, "none");
            /// The maximum number of peers that idempotent work whose outcome stays unknown may run on. After
            /// that it goes only to those, once they have proved that they work.
            max_unknown: usize = (COUNT, "3");
            /// The number of peers that refuse a login before the checkout fails; all peers if they are fewer.
            max_refusals: usize = (COUNT, "3");
            /// The time limit for one peer to provide a connection. At most `checkout_timeout`.
            connect_timeout: Duration = (TIME, "2s");
            /// The time limit for a whole checkout.
            checkout_timeout: Duration = (TIME, "10s");
            /// The delay after which a checkout without a connection asks a second peer as well. At most
            /// `checkout_timeout`.
            hedge_after: Option<Duration> = (TIME_OR_NONE, "none");
            /// The time limit for idempotent work on one peer. At most `work_timeout`.
            try_timeout: Duration = (TIME, "5s");
            /// The time limit for idempotent work, or for a transaction with retries, over all attempts.
            work_timeout: Duration = (TIME, "30s");
            /// The maximum number of times that a transaction is run.
            transaction_attempts: Option<u32> = (COUNT_OR_NONE, "none");
            /// The maximum number of connections in use at a time, over all peers.
            max_connections: Option<usize> = (Integer { min: 1, max: MAX_CONNECTIONS, none: true }, "none");
            /// The maximum age of a connection.
            max_lifetime: Option<Duration> = (LIFETIME, "30m");
            /// The maximum time that a connection beyond `pool_min` stays idle.
            idle_timeout: Option<Duration> = (LIFETIME, "1m");
            /// Whether every peer must accept writes; if so, a read-only peer is ejected.
            writable: bool = (Switch, "false");
            /// What a peer must do to pass a probe. With a table, the first value that `query` returns must be
            /// `expect`.
            probe: ProbeKind = (Probe(ProbeKind::WORDS), "ready; writable where `writable` is true", "HealthCheck::probe");
            /// The time limit for one probe.
            probe_timeout: Duration = (TIME, "as `connect_timeout`", "HealthCheck::timeout");
            /// Whether Galera nodes must be synced.
            synced: bool = (Switch, "false", "HealthCheck::synced");
            /// The time between two health checks of a peer that is up. Successful traffic replaces a check.
            health_check_interval: Option<Duration> = (TIME_OR_NONE, "5s", "HealthCheck::active");
            /// The number of consecutive failed health checks that eject a peer.
            fall: u32 = (COUNT, "3", "HealthCheck::active");
            /// The number of consecutive successful probes that bring an ejected peer back.
            rise: u32 = (COUNT, "1", "HealthCheck::rise");
            /// The time that a login or statement waits, with nothing heard from the peer, before the peer is
            /// checked at once.
            silence: Option<Duration> = (TIME_OR_NONE, "500ms", "HealthCheck::silence");
            /// The number of consecutive checks without any answer that end what waits for the peer.
            lost_after: u32 = (COUNT, "2", "HealthCheck::lost_after");
            /// Whether an operation that waits on a connection ends when its peer is found to be lost.
            end_on_lost_peer: bool = (Switch, "true");
            /// The time between two lookups of a peer's host name while the pool runs. Where the name has moved, new
            /// connections go there at once. With `"none"`, each new connection looks the name up.
            name_lookup_interval: Option<Duration> = (TIME_OR_NONE, "3s");
            /// The list of the cluster from which the database's peers come. The listed peers are then only the
            /// servers that are asked first, and again when no other answers.
            discover: DiscoverKind = (Choice(DiscoverKind::WORDS), "none");
            /// The time between two questions for the cluster's list.
            discover_interval: Duration = (TIME, "5s", "Membership::interval");
            /// Where clients reach the addresses that the cluster lists, if that is elsewhere. An address without
            /// a port on the left stands for all ports, and one on the right keeps the port.
            discover_addresses: Vec<(HostPort, HostPort)> = (AddressMap, "none: they are as listed", "Membership::map_address");
            /// The name that the certificates of the cluster's members must have.
            discover_tls_name: String = (Host, "the first peer's host for members that are listed by IP address", "Membership::tls_name");
        }
    };
}
pub(crate) use for_each_setting;

macro_rules! define_settings {
    ($(
        $(#[$doc:meta])+
        $name:ident: $type:ty = ($kind:expr, $default:literal $(, $setter:literal)?);
    )+) => {
        /// The settings of a balanced database, with the file's `defaults` merged in.
        ///
        /// A field is `None` if the file does not set the key; the default then applies in the pool. Where
        /// `"none"` is a value, it is `Some(None)`. Durations are above zero and at most one day, or 30 days
        /// for `max_lifetime` and `idle_timeout`.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Settings {
            $(
                $(#[$doc])+
                #[doc = concat!("\n\nDefault: ", $default, ".")]
                pub $name: Option<$type>,
            )+
        }

        impl Settings {
            /// These settings, and those of `other` where a field is `None`.
            pub(crate) fn or(self, other: &Settings) -> Settings {
                Settings { $($name: self.$name.or_else(|| other.$name.clone()),)+ }
            }
        }
    };
}
for_each_setting!(define_settings);
