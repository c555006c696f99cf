//! A client of the double, and what its errors must be.

use std::io;
use std::net::TcpStream;

use crate::common::soon;
use evenhand_testkit::{ErrPacket, FakeMySql};
use mysql_async::{Conn, Error, IoError};

pub(super) async fn connect(fake: &FakeMySql) -> Result<Conn, Error> {
    soon(Conn::from_url(fake.url())).await
}

/// The code, SQLSTATE and message of an error of the server's.
pub(super) fn server_error<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String, String) {
    match result {
        Err(Error::Server(e)) => (e.code, e.state, e.message),
        other => panic!("no error of the server's: {other:?}"),
    }
}

pub(super) fn io_kind<T: std::fmt::Debug>(result: Result<T, Error>) -> io::ErrorKind {
    match result {
        Err(Error::Io(IoError::Io(error))) => error.kind(),
        other => panic!("no I/O error: {other:?}"),
    }
}

/// What a connection that was closed by the server gives.
pub(super) fn assert_cut<T: std::fmt::Debug>(result: Result<T, Error>) {
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
pub(super) fn assert_broken_off<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::Io(IoError::Io(error))) => {
            assert_eq!(error.to_string(), "bytes remaining on stream");
        }
        other => panic!("no I/O error: {other:?}"),
    }
}

pub(super) fn assert_refused(fake: &FakeMySql) {
    let error = TcpStream::connect(fake.addr()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

pub(super) fn full() -> ErrPacket {
    ErrPacket::new(1040, "08004", "Too many connections")
}
