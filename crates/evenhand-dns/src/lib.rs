//! Peers by name: streams of changes for [`evenhand::Peers::follow`], and for any user of
//! [`tower::discover::Discover`](evenhand::discover::Discover).

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod discovery;
mod dns;
mod lookup;
mod observe;
mod source;
mod stream;

pub use evenhand;
pub use hickory_resolver;

pub use discovery::{
    DEFAULT_LOOKUP_TIMEOUT, DEFAULT_MAX_ADDRESSES, DEFAULT_MAX_RETRY, DEFAULT_MAX_TTL,
    DEFAULT_MIN_TTL, Discovery,
};
pub use dns::{DEFAULT_QUERY_TIMEOUT, Dns};
pub use lookup::address::{Address, Key};
pub use lookup::error::{BoxError, Error};
pub use lookup::found::{Family, Found, Lost};
pub use lookup::name::Name;
#[cfg(feature = "metrics")]
pub use observe::table::METRICS;
pub use source::Source;
pub use stream::board::SourceStatus;
pub use stream::changes::{Changes, Targets};
pub use stream::handle::Handle;
