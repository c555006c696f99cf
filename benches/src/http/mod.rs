//! What `evenhand-http` costs beside hyper-util's client alone, and beside tonic's own balancer.
//!
//! All of it runs over loopback, on connections that are kept open. The servers are in this process,
//! on threads of their own.
//!
//! | module | holds |
//! | --- | --- |
//! | [`server`] | servers of HTTP/1.1 that allocate nothing for a request, and servers of gRPC |
//! | [`get`] | one small GET after the other, from one task |
//! | [`unary`] | unary calls of gRPC from 64 tasks |

pub mod get;
pub mod server;
pub mod unary;

/// How many servers there are.
pub const PEERS: usize = 3;
