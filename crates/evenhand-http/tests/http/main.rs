//! Requests over real connections of HTTP/1.1 and HTTP/2 on loopback, to peers that refuse, hang, fail,
//! break off, leave and come back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

mod bodies;
mod callers;
mod collect;
mod common;
mod connector;
mod errors;
mod grpc;
mod keep_body;
mod probes;
mod statuses;
mod tls;
mod trace;
