//! Faults of the double, seen by mysql_async.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use crate::common::{soon, stalls, until};
use crate::fake::client::{
    assert_broken_off, assert_refused, connect, full, io_kind, server_error,
};
use evenhand_testkit::{ErrPacket, FakeMySql, Fault};
use mysql_async::prelude::*;
use mysql_async::{ChangeUserOpts, Conn};

#[tokio::test]
async fn refuse_spares_open_connections() {
    let fake = FakeMySql::start().await.unwrap();
    let mut held = connect(&fake).await.unwrap();
    for _ in 0..3 {
        fake.set_fault(Fault::Refuse);
        assert_refused(&fake);
        assert_eq!(
            io_kind(connect(&fake).await),
            io::ErrorKind::ConnectionRefused
        );
        held.ping().await.unwrap();
        fake.clear_fault();
        connect(&fake).await.unwrap();
    }
    fake.set_fault(Fault::Refuse);
    fake.set_fault(Fault::Silent);
    TcpStream::connect(fake.addr()).unwrap();
}

#[tokio::test]
async fn silent_accepts_and_sends_nothing() {
    let fake = FakeMySql::start().await.unwrap();
    let mut held = connect(&fake).await.unwrap();
    fake.set_fault(Fault::Silent);
    assert!(stalls(Conn::from_url(fake.url())).await);
    assert_eq!(fake.accepted(), 2);
    assert!(stalls(held.query_drop("SELECT 1")).await);
    until("the client that gave up is gone", || {
        fake.connections() == 1
    })
    .await;
    fake.clear_fault();
    connect(&fake).await.unwrap();
}

#[tokio::test]
async fn stall_in_handshake_greets_only() {
    let fake = FakeMySql::start().await.unwrap();
    let mut held = connect(&fake).await.unwrap();
    fake.set_fault(Fault::StallInHandshake);
    let mut connecting = tokio::spawn(Conn::from_url(fake.url()));
    until("it has come", || fake.accepted() == 2).await;
    assert!(stalls(&mut connecting).await);
    held.ping().await.unwrap();
    fake.clear_fault();
    assert!(stalls(&mut connecting).await, "never means never");
    assert_eq!(fake.logins(), 1);
    connecting.abort();
    until("it is gone", || fake.connections() == 1).await;
}

#[tokio::test]
async fn stall_in_query_answers_logins_only() {
    let fake = FakeMySql::start().await.unwrap();
    let mut held: Vec<Conn> = Vec::new();
    for _ in 0..4 {
        held.push(connect(&fake).await.unwrap());
    }
    fake.set_fault(Fault::StallInQuery);
    let mut new = connect(&fake).await.unwrap();
    assert!(stalls(new.query_drop("DO 1")).await);
    assert!(stalls(held[0].query_drop("SELECT 1")).await);
    assert!(stalls(held[1].ping()).await);
    assert!(stalls(held[2].reset()).await);
    fake.clear_fault();
    held[3].query_drop("DO 2").await.unwrap();
    assert_eq!(fake.statements(), ["DO 1", "SELECT 1", "DO 2"]);
}

#[tokio::test]
async fn fault_set_during_sleep_affects_its_reply() {
    let fake = Arc::new(FakeMySql::start().await.unwrap());
    let mut conn = connect(&fake).await.unwrap();
    let sleeping = tokio::spawn(async move { conn.query_drop("SELECT SLEEP(0.1)").await });
    until("it sleeps", || fake.queries() == 1).await;
    fake.set_fault(Fault::CutMidPacket);
    assert_broken_off(soon(sleeping).await.unwrap());
}

#[tokio::test]
async fn cut_mid_packet_breaks_the_reply_off() {
    let fake = FakeMySql::start().await.unwrap();
    fake.set_fault(Fault::CutMidPacket);
    for query in ["SELECT 1", "DO 1", "SELECT a FROM t"] {
        let mut conn = connect(&fake).await.unwrap();
        conn.ping().await.unwrap();
        conn.reset().await.unwrap();
        assert_broken_off(soon(conn.query_drop(query)).await);
        let mut conn = connect(&fake).await.unwrap();
        assert_broken_off(soon(conn.exec_drop("SELECT ?", (1,))).await);
    }
    until("the server has closed them", || fake.connections() == 0).await;
    assert_eq!(fake.statements().len(), 3);
}

#[tokio::test]
async fn err_as_greeting_has_no_sqlstate() {
    let fake = FakeMySql::start().await.unwrap();
    let mut held = connect(&fake).await.unwrap();
    fake.set_fault(Fault::ErrAsGreeting(full()));
    // The driver gives the state of an error without one as HY000.
    let wanted = (1040, "HY000".to_owned(), "Too many connections".to_owned());
    assert_eq!(server_error(connect(&fake).await), wanted);
    held.ping().await.unwrap();
    until("it was closed", || fake.connections() == 1).await;
    fake.clear_fault();
    connect(&fake).await.unwrap();
}

#[tokio::test]
async fn err_at_login_has_a_sqlstate() {
    let fake = FakeMySql::start().await.unwrap();
    let mut held = connect(&fake).await.unwrap();
    fake.set_fault(Fault::ErrAtLogin(full()));
    let wanted = (1040, "08004".to_owned(), "Too many connections".to_owned());
    assert_eq!(server_error(connect(&fake).await), wanted);
    held.ping().await.unwrap();
    assert_eq!((fake.logins(), fake.refused_logins()), (1, 1));
    until("it was closed", || fake.connections() == 1).await;
}

#[tokio::test]
async fn change_user_is_a_login_too() {
    let fake = FakeMySql::start().await.unwrap();
    let mut first = connect(&fake).await.unwrap();
    let mut second = connect(&fake).await.unwrap();
    fake.set_fault(Fault::StallInHandshake);
    assert!(stalls(first.change_user(ChangeUserOpts::default())).await);
    fake.set_fault(Fault::ErrAtLogin(full()));
    assert_eq!(
        server_error(soon(second.change_user(ChangeUserOpts::default())).await).0,
        1040
    );
    until("it was closed", || fake.connections() == 1).await;
    assert_eq!(fake.logins(), 2);
}

#[tokio::test]
async fn err_in_query_keeps_the_connection() {
    let fake = FakeMySql::start().await.unwrap();
    let mut held = connect(&fake).await.unwrap();
    let error = ErrPacket::new(1053, "08S01", "Server shutdown in progress");
    fake.set_fault(Fault::ErrInQuery(error));
    let mut new = connect(&fake).await.unwrap();
    for conn in [&mut held, &mut new] {
        assert_eq!(server_error(conn.query_drop("SELECT 1").await).0, 1053);
        assert_eq!(server_error(conn.exec_drop("SELECT ?", (1,)).await).0, 1053);
        conn.ping().await.unwrap();
        conn.reset().await.unwrap();
    }
    assert_eq!(fake.queries(), 4);
    assert_eq!(fake.statements(), Vec::<String>::new());
    fake.clear_fault();
    held.query_drop("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn err_at_ping_answers_all_else() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await.unwrap();
    fake.set_fault(Fault::ErrAtPing(ErrPacket::new(1105, "HY000", "no")));
    assert_eq!(server_error(conn.ping().await).0, 1105);
    conn.query_drop("SELECT 1").await.unwrap();
    fake.clear_fault();
    conn.ping().await.unwrap();
}

#[tokio::test]
async fn not_primary_refuses_work_as_galera_does() {
    let fake = FakeMySql::start().await.unwrap();
    fake.answer(
        "SHOW STATUS LIKE 'wsrep_ready'",
        ["Variable_name", "Value"],
        [["wsrep_ready", "OFF"]],
    );
    fake.answer("SELECT a FROM t", ["a"], [[1]]);
    fake.set_fault(Fault::NotPrimary);
    let mut conn = connect(&fake).await.unwrap();
    conn.ping().await.unwrap();
    for query in [
        "SELECT 1",
        "SELECT @@port",
        "SET NAMES utf8mb4",
        "SHOW STATUS LIKE 'wsrep_ready'",
    ] {
        conn.query_drop(query).await.unwrap();
        conn.exec_drop(query, ()).await.unwrap();
    }
    for query in [
        "SELECT a FROM t",
        "INSERT INTO t VALUES (1)",
        "BEGIN",
        "DO 1",
    ] {
        let (code, state, message) = server_error(conn.query_drop(query).await);
        assert_eq!((code, state.as_str()), (1047, "08S01"));
        assert!(
            message.starts_with("WSREP has not yet prepared"),
            "{message}"
        );
        assert_eq!(server_error(conn.exec_drop(query, ()).await).0, 1047);
    }
    assert_eq!(server_error(conn.reset().await).0, 1047);
    conn.ping().await.unwrap();
}
