//! The proxy's faults, byte by byte and as a driver sees them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::common::{QUIET, soon, stalls, until};
use evenhand_testkit::Direction::{ToClient, ToUpstream};
use evenhand_testkit::{FakeMySql, FaultProxy};
use mysql_async::Conn;
use mysql_async::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::interval;

/// A proxy before a listener, and both ends of a connection through it.
struct Line {
    proxy: FaultProxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn connect(proxy: &FaultProxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = soon(TcpStream::connect(proxy.addr())).await.unwrap();
    let (server, _) = soon(listener.accept()).await.unwrap();
    (client, server)
}

async fn line() -> Line {
    let (listener, addr) = listener().await;
    let proxy = FaultProxy::start(addr).unwrap();
    let (client, server) = connect(&proxy, &listener).await;
    Line {
        proxy,
        listener,
        client,
        server,
    }
}

/// Sends these bytes and waits until they have come out at the other end.
async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    expect(to, bytes).await;
}

async fn expect(from: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    soon(from.read_exact(&mut read)).await.unwrap();
    assert_eq!(read, bytes);
}

/// All that still comes before the end of the stream.
async fn rest(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut rest = vec![];
    soon(from.read_to_end(&mut rest)).await.map(|_| rest)
}

async fn assert_reset(stream: &mut TcpStream) {
    let error = rest(stream).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

async fn assert_refused(addr: SocketAddr) {
    let error = soon(TcpStream::connect(addr)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn bytes_and_ends_of_streams_pass_counted() {
    let mut line = line().await;
    pass(&mut line.client, &mut line.server, b"request").await;
    pass(&mut line.server, &mut line.client, b"a reply").await;
    let big = vec![7; 3_000_000];
    let sent = big.clone();
    let mut client = line.client;
    let sender = tokio::spawn(async move {
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        client
    });
    assert!(rest(&mut line.server).await.unwrap() == big);
    let mut client = soon(sender).await.unwrap();
    // One stream has ended, the other goes on.
    pass(&mut line.server, &mut client, b"late").await;
    assert_eq!(line.proxy.connections(), 1);
    drop(line.server);
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    until("the connection has ended", || line.proxy.connections() == 0).await;
    assert_eq!(line.proxy.accepted(), 1);
    assert_eq!(line.proxy.bytes(ToUpstream), 3_000_007);
    assert_eq!(line.proxy.bytes(ToClient), 11);
    assert_eq!(line.proxy.upstream(), line.listener.local_addr().unwrap());
}

#[tokio::test]
async fn reset_of_one_side_resets_the_other() {
    let mut line = line().await;
    line.server.set_zero_linger().unwrap();
    drop(line.server);
    assert_reset(&mut line.client).await;
}

#[tokio::test]
async fn delay_holds_bytes_and_keeps_the_rate() {
    let mut line = line().await;
    let delay = Duration::from_millis(400);
    line.proxy.set_delay(ToClient, Duration::from_secs(3600));
    // The other direction is not held up.
    pass(&mut line.client, &mut line.server, b"fast").await;

    // One delay for all, not one for each of five hundred.
    line.proxy.set_delay(ToClient, delay);
    let begun = Instant::now();
    let bytes = [7; 500];
    let mut pace = interval(Duration::from_millis(1));
    for byte in bytes.chunks(1) {
        pace.tick().await;
        line.server.write_all(byte).await.unwrap();
    }
    expect(&mut line.client, &bytes).await;
    assert!(begun.elapsed() >= delay);

    line.proxy.set_delay(ToUpstream, delay);
    let begun = Instant::now();
    pass(&mut line.client, &mut line.server, b"there").await;
    pass(&mut line.server, &mut line.client, b"and back").await;
    assert!(begun.elapsed() >= 2 * delay);

    line.proxy.set_delay(ToUpstream, Duration::from_secs(3600));
    line.proxy.set_delay(ToClient, Duration::from_secs(3600));
    line.proxy.heal().unwrap();
    pass(&mut line.client, &mut line.server, b"there").await;
    pass(&mut line.server, &mut line.client, b"and back").await;
}

#[tokio::test]
async fn freeze_holds_everything_until_the_thaw() {
    let mut line = line().await;
    line.proxy.freeze();
    line.client.write_all(b"held").await.unwrap();
    line.server.write_all(b"too").await.unwrap();
    line.server.shutdown().await.unwrap();
    let mut byte = [0];
    assert!(stalls(line.server.read(&mut byte)).await);
    assert!(stalls(line.client.read(&mut byte)).await);
    // A new connection is accepted, and nothing more.
    let mut new = soon(TcpStream::connect(line.proxy.addr())).await.unwrap();
    new.write_all(b"new").await.unwrap();
    until("it is accepted", || line.proxy.accepted() == 2).await;
    assert!(stalls(line.listener.accept()).await);
    assert_eq!(
        (line.proxy.bytes(ToClient), line.proxy.bytes(ToUpstream)),
        (0, 0)
    );

    line.proxy.thaw();
    expect(&mut line.server, b"held").await;
    assert_eq!(rest(&mut line.client).await.unwrap(), b"too");
    let (mut served, _) = soon(line.listener.accept()).await.unwrap();
    expect(&mut served, b"new").await;
}

#[tokio::test]
async fn freeze_holds_bytes_for_a_slow_reader() {
    let mut line = line().await;
    let mut server = line.server;
    tokio::spawn(async move { server.write_all(&vec![7; 30_000_000]).await });
    // Until no more fits.
    let passed = || line.proxy.bytes(ToClient);
    let more_than = |before| until("more has passed", move || passed() > before);
    more_than(0).await;
    while !stalls(more_than(passed())).await {}
    line.proxy.freeze();
    let before = passed();
    let mut read = vec![0; before as usize];
    soon(line.client.read_exact(&mut read)).await.unwrap();
    assert!(stalls(line.client.read(&mut [0])).await);
    assert_eq!(passed(), before);
    line.proxy.thaw();
    soon(line.client.read_exact(&mut [0])).await.unwrap();
}

#[tokio::test]
async fn freeze_holds_a_reset() {
    let mut line = line().await;
    line.proxy.freeze();
    line.client.set_zero_linger().unwrap();
    drop(line.client);
    assert!(stalls(line.server.read(&mut [0])).await);
    assert_eq!(line.proxy.connections(), 1);
    line.proxy.thaw();
    assert_reset(&mut line.server).await;
}

#[tokio::test]
async fn cut_closes_after_exactly_n_bytes() {
    let mut line = line().await;
    pass(&mut line.server, &mut line.client, b"before").await;
    line.proxy.cut_after(ToClient, 5);
    pass(&mut line.server, &mut line.client, b"123").await;
    // The other direction does not count.
    pass(&mut line.client, &mut line.server, b"a longer one").await;
    line.server.write_all(b"456789").await.unwrap();
    assert_eq!(rest(&mut line.client).await.unwrap(), b"45");
    assert_eq!(rest(&mut line.server).await.unwrap(), b"");

    // A new connection counts from its start.
    let (mut client, mut server) = connect(&line.proxy, &line.listener).await;
    server.write_all(b"123456").await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"12345");

    let (mut client, mut server) = connect(&line.proxy, &line.listener).await;
    line.proxy.cut_after(ToUpstream, 0);
    pass(&mut server, &mut client, b"a reply").await;
    client.write_all(b"!").await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert_eq!(rest(&mut server).await.unwrap(), b"");

    let (mut client, mut server) = connect(&line.proxy, &line.listener).await;
    line.proxy.cut_none();
    pass(&mut client, &mut server, b"uncut").await;
    until("the others have ended", || line.proxy.connections() == 1).await;
}

#[tokio::test]
async fn reset_ends_existing_connections_only() {
    let mut line = line().await;
    let (mut other, _server) = connect(&line.proxy, &line.listener).await;
    // Enough connections that closing them takes a while.
    let mut more = vec![];
    for _ in 0..200 {
        more.push(connect(&line.proxy, &line.listener).await);
    }
    line.client.write_all(b"unread").await.unwrap();
    // One that has not come through to the peer, and a byte on its way.
    line.proxy.freeze();
    let mut new = soon(TcpStream::connect(line.proxy.addr())).await.unwrap();
    until("it is accepted", || line.proxy.accepted() == 203).await;
    line.proxy.reset_all();
    assert_eq!(line.proxy.connections(), 0);
    line.proxy.thaw();
    for stream in [&mut line.client, &mut other, &mut new, &mut line.server] {
        assert_reset(stream).await;
    }
    let (mut client, mut server) = connect(&line.proxy, &line.listener).await;
    pass(&mut client, &mut server, b"well").await;
}

#[tokio::test]
async fn refuse_keeps_open_connections_and_the_port() {
    let mut line = line().await;
    for _ in 0..2 {
        line.proxy.refuse();
        assert_refused(line.proxy.addr()).await;
        pass(&mut line.client, &mut line.server, b"held").await;
    }
    let addr = line.proxy.addr();
    for _ in 0..2 {
        line.proxy.accept().unwrap();
        let (mut client, mut server) = connect(&line.proxy, &line.listener).await;
        pass(&mut client, &mut server, b"new").await;
    }
    assert_eq!(line.proxy.addr(), addr);

    line.proxy.refuse();
    let squatter = std::net::TcpListener::bind(addr).unwrap();
    let taken = line.proxy.heal().unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    drop(squatter);
    line.proxy.heal().unwrap();
    connect(&line.proxy, &line.listener).await;
}

#[tokio::test]
async fn throttle_limits_the_rate_until_lifted() {
    let mut line = line().await;
    line.proxy.throttle(NonZeroU64::new(20_000));
    let bytes = vec![1; 10_000];
    let begun = Instant::now();
    pass(&mut line.server, &mut line.client, &bytes).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(450), "{took:?}");

    // At this rate it would take days.
    line.proxy.throttle(NonZeroU64::new(1));
    line.server.write_all(&vec![2; 100_000]).await.unwrap();
    expect(&mut line.client, &[2]).await;
    assert!(stalls(line.client.read_exact(&mut [0; 2])).await);
    line.proxy.throttle(None);
    until("all has passed", || line.proxy.bytes(ToClient) == 110_000).await;
}

#[tokio::test]
async fn client_of_a_refusing_peer_is_closed() {
    let (listener, addr) = listener().await;
    drop(listener);
    let proxy = FaultProxy::start(addr).unwrap();
    let mut client = soon(TcpStream::connect(proxy.addr())).await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    until("it is closed", || proxy.connections() == 0).await;
    let listener = TcpListener::bind(addr).await.unwrap();
    let (mut client, mut server) = connect(&proxy, &listener).await;
    pass(&mut client, &mut server, b"back").await;
}

#[tokio::test]
async fn driver_observes_the_faults() {
    let fake = FakeMySql::start().await.unwrap();
    let proxy = FaultProxy::start(fake.addr()).unwrap();
    let mut held = soon(Conn::from_url(proxy.url())).await.unwrap();
    assert_eq!(
        soon(held.query_first("SELECT @@port")).await.unwrap(),
        Some(fake.port())
    );

    // Connections are made and get no greeting; the late reply comes.
    proxy.freeze();
    assert!(stalls(Conn::from_url(proxy.url())).await);
    let mut late = tokio::spawn(async move {
        let answer: Option<u32> = held.query_first("SELECT 7").await.unwrap();
        (held, answer)
    });
    assert!(stalls(&mut late).await);
    proxy.thaw();
    let (mut held, answer) = soon(late).await.unwrap();
    assert_eq!(answer, Some(7));

    // A reply breaks off in the middle of a packet.
    proxy.cut_after(ToClient, 2);
    assert!(soon(held.query_drop("SELECT 1")).await.is_err());
    assert!(soon(Conn::from_url(proxy.url())).await.is_err());
    proxy.heal().unwrap();
    soon(Conn::from_url(proxy.url())).await.unwrap();
}

#[test]
fn proxy_needs_no_tokio_and_ends_with_its_handle() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap()).unwrap();
    let mut client = std::net::TcpStream::connect(proxy.addr()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    proxy.freeze();
    client.write_all(b"x").unwrap();
    server.set_read_timeout(Some(QUIET)).unwrap();
    let silent = server.read(&mut [0]).unwrap_err();
    assert_eq!(silent.kind(), io::ErrorKind::WouldBlock);
    proxy.thaw();
    server
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    server.read_exact(&mut [0]).unwrap();

    let addr = proxy.addr();
    let panicking = std::thread::spawn(move || {
        let _proxy = proxy;
        panic!("a test fails");
    });
    assert!(panicking.join().is_err());
    let refused = std::net::TcpStream::connect(addr).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
}
