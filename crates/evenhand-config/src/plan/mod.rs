//! The plan: what a file says once it has been checked. Aliases are resolved and defaults merged, so a
//! plan needs no second check. Knows only [`Secret`](crate::Secret) and the problems of a file.

mod balanced;
mod choices;
mod config;
mod peer;
mod settings;

pub use self::balanced::{BalancedDatabase, DEFAULT_CHECK_INTERVAL, MAX_CHECK_INTERVAL};
pub use self::choices::{AllDownKind, DiscoverKind, MinUp, PickKind, ProbeKind};
pub use self::config::Config;
pub use self::peer::{Address, Connections, DEFAULT_PORT, HostsKind, PasswordSource, Peer, Tls};
pub use self::settings::Settings;
pub(crate) use self::settings::for_each_setting;
