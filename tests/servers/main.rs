//! Evenhand's crates together, on real servers, Galera clusters, groups of MySQL servers and HAProxies.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

mod databases {
    mod check;
    mod config;
    mod reload;
}

mod faults {
    mod busy;
    mod freeze;
    mod galera;
    mod group;
    mod kill;
    mod network;
    mod proxy;
    mod server;
}

mod pool {
    mod connections;
    #[cfg(feature = "dns")]
    mod dns;
    mod ledger;
}
