//! Requests over real connections of HTTP/1.1 and HTTP/2 on loopback, to peers that refuse, hang, fail,
//! break off, leave and come back.

mod bodies;
mod common;
mod connector;
mod errors;
mod grpc;
mod keep_body;
mod probes;
mod statuses;
mod trace;
