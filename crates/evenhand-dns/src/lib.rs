//! Peers by name: streams of changes for [`evenhand::Peers::follow`], and for any user of
//! [`tower::discover::Discover`](evenhand::discover::Discover).

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod board;
mod changes;
mod discovery;
mod dns;
mod error;
mod handle;
mod held;
mod meter;
mod name;
mod pace;
mod source;
#[cfg(feature = "metrics")]
mod table;
mod task;

pub use evenhand;
pub use hickory_resolver;

pub use address::{Address, Key};
pub use board::SourceStatus;
pub use changes::{Changes, Targets};
pub use discovery::{
    DEFAULT_LOOKUP_TIMEOUT, DEFAULT_MAX_ADDRESSES, DEFAULT_MAX_RETRY, DEFAULT_MAX_TTL,
    DEFAULT_MIN_TTL, Discovery,
};
pub use dns::{DEFAULT_QUERY_TIMEOUT, Dns};
pub use error::{BoxError, Error};
pub use handle::Handle;
pub use name::Name;
pub use source::{Family, Found, Lost, Source};
#[cfg(feature = "metrics")]
pub use table::METRICS;
