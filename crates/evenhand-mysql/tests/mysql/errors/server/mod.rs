//! Errors from real servers: MariaDB, MariaDB behind a relay that alters packets (`wire`), Galera
//! and HAProxy.

mod client;
mod galera;
mod login;
mod proxy;
mod session;
mod statement;
mod wire;
