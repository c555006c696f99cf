//! What errors do, seen from outside: which peer is out afterwards, what becomes of the connection,
//! whether idempotent work goes elsewhere.
//!
//! `stage.rs` holds what these tests share, `login.rs` and `statement.rs` are over the in-process
//! double, `own.rs` is about rows of the user's own. The rest is over real servers: `real_login.rs`,
//! `real_client.rs`, `real_statement.rs` and `real_session.rs` over MariaDB, `real_wire.rs` over
//! MariaDB behind a relay that alters packets, `real_galera.rs` and `real_proxy.rs` over Galera and
//! HAProxy. The doc comment of a test says which rows of the table it shows;
//! `docs/MYSQL-ERRORS.md` is made from that.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test states what it takes for granted"
)]

#[path = "../common/mod.rs"]
mod common;

mod login;
mod own;
mod real_client;
mod real_galera;
mod real_login;
mod real_proxy;
mod real_session;
mod real_statement;
mod real_wire;
mod stage;
mod statement;
