//! A real HAProxy, and what it does to clients in each of its states.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::common::{soon, until};
use evenhand_testkit::{FakeMySql, HaProxy, HaProxyError};
use mysql_async::Conn;
use mysql_async::prelude::*;

const LIMIT: Duration = Duration::from_secs(10);

async fn connect(proxy: &HaProxy) -> Conn {
    soon(Conn::from_url(proxy.url())).await.unwrap()
}

/// Which backend it is connected to.
async fn port(conn: &mut Conn) -> u16 {
    soon(conn.query_first("SELECT @@port"))
        .await
        .unwrap()
        .unwrap()
}

async fn backends() -> (FakeMySql, FakeMySql) {
    let start = || async { FakeMySql::start().await.unwrap() };
    (start().await, start().await)
}

fn start(backends: &[&FakeMySql]) -> HaProxy {
    let addrs: Vec<SocketAddr> = backends.iter().map(|fake| fake.addr()).collect();
    HaProxy::start(&addrs).unwrap()
}

fn assert_refused(addr: SocketAddr) {
    let error = TcpStream::connect(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn connections_go_round_and_past_a_refusing_backend() {
    let (a, b) = backends().await;
    let proxy = start(&[&a, &b]);
    let (mut first, mut second) = (connect(&proxy).await, connect(&proxy).await);
    let mut ports = [port(&mut first).await, port(&mut second).await];
    ports.sort_unstable();
    let mut all = [a.port(), b.port()];
    all.sort_unstable();
    assert_eq!(ports, all);
    // Nothing but clients connects to a backend.
    assert_eq!((a.accepted(), b.accepted()), (1, 1));

    a.kill();
    for _ in 0..2 {
        assert_eq!(port(&mut connect(&proxy).await).await, b.port());
    }
}

#[tokio::test]
async fn disabled_frontend_keeps_open_connections() {
    let (a, _b) = backends().await;
    let proxy = start(&[&a]);
    let mut held = connect(&proxy).await;
    for _ in 0..2 {
        proxy.disable_frontend().unwrap();
        assert_refused(proxy.addr());
        assert_eq!(port(&mut held).await, a.port());
    }
    proxy.enable_frontend().unwrap();
    proxy.enable_frontend().unwrap();
    assert_eq!(port(&mut connect(&proxy).await).await, a.port());
    assert_eq!(port(&mut held).await, a.port());
}

#[tokio::test]
async fn draining_backend_gets_no_new_connections() {
    let (a, b) = backends().await;
    let proxy = start(&[&a, &b]);
    let mut held = connect(&proxy).await;
    assert_eq!(port(&mut held).await, a.port());
    for state in ["drain", "maint"] {
        match state {
            "drain" => proxy.drain(0).unwrap(),
            _ => proxy.maint(0).unwrap(),
        }
        for _ in 0..3 {
            assert_eq!(port(&mut connect(&proxy).await).await, b.port());
        }
        assert_eq!(port(&mut held).await, a.port());
        proxy.ready(0).unwrap();
        let mut ports = vec![];
        for _ in 0..2 {
            ports.push(port(&mut connect(&proxy).await).await);
        }
        assert!(ports.contains(&a.port()), "{ports:?}");
    }
    let states = proxy.command("show servers state peers").unwrap();
    assert!(states.contains("s0") && states.contains("s1"), "{states}");
    match proxy.drain(2).unwrap_err() {
        HaProxyError::Refused { command, reply, .. } => {
            assert_eq!(command, "set server peers/s2 state drain");
            assert!(reply.contains("No such server"), "{reply}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_backend_clients_get_a_fin() {
    let (a, _b) = backends().await;
    for proxy in [start(&[]), start(&[&a])] {
        if proxy
            .command("show servers state peers")
            .unwrap()
            .contains("s0")
        {
            proxy.maint(0).unwrap();
        }
        let mut stream = TcpStream::connect(proxy.addr()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(a.accepted(), 0);
}

#[tokio::test]
async fn proxy_stops_and_restarts_on_its_port() {
    let (a, _b) = backends().await;
    let mut proxy = start(&[&a]);
    let addr = proxy.addr();
    for way in ["stop", "kill"] {
        let mut held = connect(&proxy).await;
        for _ in 0..2 {
            match way {
                "stop" => proxy.stop().unwrap(),
                _ => proxy.kill().unwrap(),
            }
        }
        assert_eq!(proxy.pid(), None);
        assert_refused(addr);
        assert!(soon(held.query_drop("SELECT 1")).await.is_err());
        until("the backend's connection ends, too", || {
            a.connections() == 0
        })
        .await;
        let error = proxy.disable_frontend().unwrap_err();
        assert!(
            matches!(error, HaProxyError::NotRunning { .. }),
            "{error:?}"
        );
        proxy.restart().unwrap();
        assert_eq!(proxy.addr(), addr);
        assert_eq!(port(&mut connect(&proxy).await).await, a.port());
    }
    let pid = proxy.pid().unwrap();
    proxy.restart().unwrap();
    assert_ne!(proxy.pid().unwrap(), pid);

    let pid = proxy.pid().unwrap();
    let panicking = std::thread::spawn(move || {
        let _proxy = proxy;
        panic!("a test fails");
    });
    assert!(panicking.join().is_err());
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());
    assert_refused(addr);
}
