//! The pool's behaviour, one folder for each concept. Most tests run over the in-process double;
//! those of `errors::server`, `tls` and a few others start real servers.
//!
//! `errors` shows the rows of the table of errors: the doc comment of such a test names the rows.
//! `tls` needs one of the TLS features: `--features rustls-ring`, for instance.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

mod common;

mod checkout {
    mod balancing;
    mod failover;
    mod full;
    mod herd;
    mod limits;
}

mod driver;

mod drop_in {
    mod conn;
    mod errors;
    mod features;
    mod schema;
}

mod errors {
    mod custom_rows;
    mod login;
    mod server;
    mod statement;
}

mod health {
    mod group;
    mod lost_peer;
    mod outage;
    mod probes;
    mod writable;
}

mod members;

mod names;

mod observe {
    mod logs;
    #[cfg(feature = "metrics")]
    mod metrics;
    #[cfg(feature = "metrics")]
    mod recorder;
    #[cfg(feature = "serde")]
    mod serde;
    #[cfg(feature = "tracing")]
    mod spans;
    mod subscriber;
}

mod pool {
    mod constructors;
    mod direct;
    #[cfg(feature = "discover")]
    mod discover;
    mod driver_hazards;
    mod idempotent;
    mod leaks;
    mod lifetimes;
    mod many_peers;
    mod min_connections;
    mod peers;
}

#[cfg(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
))]
mod tls;

mod transaction {
    mod commit;
    mod guard;
    mod retry;
    mod rollback;
}
