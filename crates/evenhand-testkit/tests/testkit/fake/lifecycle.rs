//! The double is killed, restarted, frozen and dropped.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::common::{soon, stalls, until};
use crate::fake::client::{assert_cut, assert_refused, connect, full};
use evenhand_testkit::{FakeMySql, Fault};
use mysql_async::Conn;
use mysql_async::prelude::*;

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
    until("every client is gone", || fake.connections() == 0).await;
}
