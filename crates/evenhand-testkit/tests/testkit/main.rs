//! What the testkit's doubles, proxies and servers do, one module for each.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

mod common;

mod blackhole;
mod fault_proxy;
mod galera;
mod group;
mod haproxy;
mod mariadb;

mod fake {
    mod answers;
    mod client;
    mod connections;
    mod faults;
    mod lifecycle;
}
