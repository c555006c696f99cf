//! An address on which connects hang.

use std::io;
use std::net::TcpStream;

use crate::common::{QUIET, stalls};
use evenhand_testkit::Blackhole;

#[tokio::test]
async fn connects_neither_succeed_nor_fail() {
    let hole = Blackhole::start().unwrap();
    // Those that give up make no room for others.
    for _ in 0..3 {
        let error = TcpStream::connect_timeout(&hole.addr(), QUIET).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    let connects = (0..5).map(|_| tokio::net::TcpStream::connect(hole.addr()));
    for connect in connects {
        assert!(stalls(connect).await);
    }
    assert!(stalls(mysql_async::Conn::from_url(hole.url())).await);

    let addr = hole.addr();
    drop(hole);
    let error = TcpStream::connect(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn several_run_side_by_side() {
    let holes = [Blackhole::start().unwrap(), Blackhole::start().unwrap()];
    assert_ne!(holes[0].port(), holes[1].port());
    for hole in &holes {
        TcpStream::connect_timeout(&hole.addr(), QUIET).unwrap_err();
    }
}
