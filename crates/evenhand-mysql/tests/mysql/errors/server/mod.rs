//! Errors from real servers: MariaDB or MySQL, the same behind a relay that alters packets (`wire`), Galera
//! and HAProxy.

mod client;
mod galera;
mod login;
mod proxy;
mod session;
mod statement;
mod wire;
