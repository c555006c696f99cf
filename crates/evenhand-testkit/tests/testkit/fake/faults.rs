//! The double as a peer that fails, seen by mysql_async.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::common::{soon, stalls, until};
use evenhand_testkit::{ErrPacket, FakeMySql, Fault};
use mysql_async::prelude::*;
use mysql_async::{ChangeUserOpts, Conn, Error, IoError};

async fn connect(fake: &FakeMySql) -> Result<Conn, Error> {
    soon(Conn::from_url(fake.url())).await
}

/// The code, SQLSTATE and message of an error of the server's.
fn server_error<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String, String) {
    match result {
        Err(Error::Server(e)) => (e.code, e.state, e.message),
        other => panic!("no error of the server's: {other:?}"),
    }
}

fn io_kind<T: std::fmt::Debug>(result: Result<T, Error>) -> io::ErrorKind {
    match result {
        Err(Error::Io(IoError::Io(error))) => error.kind(),
        other => panic!("no I/O error: {other:?}"),
    }
}

/// What a connection that was closed by the server gives.
fn assert_cut<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::Driver(mysql_async::DriverError::ConnectionClosed)) => {}
        other => {
            use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
            let kind = io_kind(other);
            assert!(
                matches!(kind, BrokenPipe | ConnectionReset | UnexpectedEof),
                "{kind:?}"
            );
        }
    }
}

/// What a reply that breaks off inside a packet gives: the driver's codec has no error kind for it.
fn assert_broken_off<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::Io(IoError::Io(error))) => {
            assert_eq!(error.to_string(), "bytes remaining on stream");
        }
        other => panic!("no I/O error: {other:?}"),
    }
}

fn assert_refused(fake: &FakeMySql) {
    let error = TcpStream::connect(fake.addr()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

fn full() -> ErrPacket {
    ErrPacket::new(1040, "08004", "Too many connections")
}

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

#[tokio::test]
async fn kill_refuses_and_cuts_every_connection() {
    let fake = Arc::new(FakeMySql::start().await.unwrap());
    let mut idle = connect(&fake).await.unwrap();
    let mut busy = connect(&fake).await.unwrap();
    let busy = tokio::spawn(async move { busy.query_drop("SELECT SLEEP(1000)").await });
    let greeted = connect(&fake).await.unwrap();
    until("it sleeps", || fake.queries() == 1).await;
    fake.kill();
    fake.kill();
    assert_refused(&fake);
    assert_eq!(fake.connections(), 0);
    assert_cut(soon(busy).await.unwrap());
    assert_cut(soon(idle.query_drop("SELECT 1")).await);
    drop(greeted);

    // Whatever is said to the dead has no effect.
    fake.clear_fault();
    fake.freeze();
    fake.thaw();
    fake.set_fault(Fault::ErrInQuery(full()));
    assert_refused(&fake);

    let port = fake.port();
    for _ in 0..2 {
        soon(fake.restart()).await.unwrap();
        assert_eq!(fake.port(), port);
        connect(&fake)
            .await
            .unwrap()
            .query_drop("SELECT 1")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn restart_cuts_connections_and_clears_faults() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await.unwrap();
    fake.set_fault(Fault::Refuse);
    fake.freeze();
    soon(fake.restart()).await.unwrap();
    assert_cut(soon(conn.query_drop("SELECT 1")).await);
    connect(&fake).await.unwrap();
}

#[tokio::test]
async fn restart_waits_for_an_occupied_port() {
    let fake = FakeMySql::start().await.unwrap();
    fake.kill();
    let squatter = std::net::TcpListener::bind(fake.addr()).unwrap();
    assert!(stalls(fake.restart()).await);
    drop(squatter);
    soon(fake.restart()).await.unwrap();
    connect(&fake).await.unwrap();
}

#[tokio::test]
async fn cut_connections_keeps_accepting() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await.unwrap();
    fake.cut_connections();
    assert_cut(soon(conn.ping()).await);
    connect(&fake).await.unwrap();
}

#[tokio::test]
async fn frozen_server_answers_after_thaw() {
    let fake = Arc::new(FakeMySql::start().await.unwrap());
    let mut conn = connect(&fake).await.unwrap();
    let mut second = connect(&fake).await.unwrap();
    fake.freeze();
    fake.freeze();
    let query = tokio::spawn(async move { conn.query_first::<u8, _>("SELECT 7").await });
    let connecting = tokio::spawn(Conn::from_url(fake.url()));
    // The kernel completes the connection.
    let given_up = TcpStream::connect(fake.addr()).unwrap();
    drop(given_up);
    // A cancelled query, whose reply comes late.
    assert!(stalls(second.query_drop("SELECT 8")).await);
    assert!(second.is_disconnected());
    assert!(!query.is_finished() && !connecting.is_finished());
    assert_eq!((fake.accepted(), fake.queries()), (2, 0));

    fake.thaw();
    assert_eq!(soon(query).await.unwrap().unwrap(), Some(7));
    soon(connecting).await.unwrap().unwrap();
    // The driver's first hazard: the late reply is read as the next query's.
    assert_eq!(soon(second.query_first("SELECT 9")).await.unwrap(), Some(8));
    until("late comers were accepted", || fake.accepted() == 4).await;
}

#[tokio::test]
async fn frozen_server_can_be_killed() {
    let fake = FakeMySql::start().await.unwrap();
    let mut conn = connect(&fake).await.unwrap();
    fake.freeze();
    fake.kill();
    assert_refused(&fake);
    assert_cut(soon(conn.ping()).await);
    fake.restart().await.unwrap();
    connect(&fake).await.unwrap();
}

#[tokio::test]
async fn drop_closes_everything_even_in_a_panic() {
    let fake = FakeMySql::start().await.unwrap();
    let (addr, mut conn) = (fake.addr(), connect(&fake).await.unwrap());
    let panicking = tokio::spawn(async move {
        let _fake = fake;
        panic!("a test fails");
    });
    assert!(panicking.await.unwrap_err().is_panic());
    let error = TcpStream::connect(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_cut(soon(conn.ping()).await);
}

#[test]
fn server_is_controlled_outside_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fake = runtime.block_on(FakeMySql::start()).unwrap();
    fake.set_fault(Fault::Refuse);
    assert_refused(&fake);
    fake.clear_fault();
    runtime.block_on(connect(&fake)).unwrap();
    fake.kill();
    runtime.block_on(fake.restart()).unwrap();
    let _held = TcpStream::connect(fake.addr()).unwrap();
    runtime.block_on(until("it is held", || fake.connections() == 1));
    drop(runtime);
    fake.set_fault(Fault::Refuse);
    drop(fake);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_in_any_order_leave_it_working() {
    let fake = Arc::new(FakeMySql::start().await.unwrap());
    let mut clients = tokio::task::JoinSet::new();
    let done = Arc::<AtomicU64>::default();
    for _ in 0..16 {
        let (url, done) = (fake.url(), done.clone());
        clients.spawn(async move {
            loop {
                let work = async {
                    let mut conn = Conn::from_url(&url).await?;
                    for _ in 0..20 {
                        conn.query_drop("SELECT 1").await?;
                    }
                    conn.disconnect().await
                };
                let _ = tokio::time::timeout(Duration::from_millis(20), work).await;
                done.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    for round in 0..60 {
        match round % 6 {
            0 => fake.freeze(),
            1 => fake.kill(),
            2 => fake.set_fault(Fault::Refuse),
            3 => fake.restart().await.unwrap(),
            4 => fake.set_fault(Fault::StallInQuery),
            _ => fake.clear_fault(),
        }
        let enough = done.load(Ordering::Relaxed) + 16;
        until("more is tried", || done.load(Ordering::Relaxed) >= enough).await;
    }
    fake.restart().await.unwrap();
    let served = fake.queries();
    until("it serves again", || fake.queries() > served + 100).await;
    clients.shutdown().await;
    until("nobody is left", || fake.connections() == 0).await;
}
