//! A loopback port that stays ours while nothing listens on it.
//!
//! A server that is stopped and started again must come back on the same port. Between the two the
//! kernel would be free to give that port to any outgoing connection on the machine. A socket that
//! is bound to the port with `SO_REUSEADDR`, and never listens, prevents that: the kernel does
//! not assign the port to another process, a server that sets `SO_REUSEADDR` too can still bind it
//! and listen, and a client that connects meanwhile is refused.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::ops::Deref;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

/// How many connections the kernel completes on our behalf before we accept them.
const BACKLOG: u32 = 1024;

/// A reserved port of a loopback address, 127.0.0.1 unless it was given; given back on drop.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    addr: SocketAddr,
    // Never read: it holds the port by being open.
    _holder: TcpSocket,
}

impl ReservedPort {
    /// Reserves a port that is free now; the kernel chooses it.
    pub(crate) fn any() -> io::Result<ReservedPort> {
        ReservedPort::reserve(0)
    }

    /// Reserves this port (0: any that is free).
    pub(crate) fn reserve(port: u16) -> io::Result<ReservedPort> {
        ReservedPort::at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Reserves the port of this IPv4 address.
    pub(crate) fn at(addr: SocketAddr) -> io::Result<ReservedPort> {
        let holder = TcpSocket::new_v4()?;
        holder.set_reuseaddr(true)?;
        holder.bind(addr)?;
        Ok(ReservedPort {
            addr: holder.local_addr()?,
            _holder: holder,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Listens on the port. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// `AddrInUse` while something else listens there.
    pub(crate) fn listen(&self) -> io::Result<Listener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.addr)?;
        socket.listen(BACKLOG).map(Listener)
    }
}

/// A listening socket. Once it is dropped, connections are refused.
///
/// Closing it does not do: a process that is being started has a copy until its program runs, and the
/// kernel goes on completing connections.
#[derive(Debug)]
pub(crate) struct Listener(TcpListener);

impl Deref for Listener {
    type Target = TcpListener;

    fn deref(&self) -> &TcpListener {
        &self.0
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It listens, so this cannot fail.
        let _ = SockRef::from(&self.0).shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::os::fd::AsFd;

    #[tokio::test]
    async fn a_reserved_port_refuses_listens_and_refuses_again() {
        let port = ReservedPort::any().unwrap();
        let refused = TcpStream::connect(port.addr()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

        let listener = port.listen().unwrap();
        TcpStream::connect(port.addr()).unwrap();
        assert_eq!(port.listen().unwrap_err().kind(), io::ErrorKind::AddrInUse);

        drop(listener);
        let refused = TcpStream::connect(port.addr()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        port.listen().unwrap();
    }

    #[tokio::test]
    async fn copy_of_a_dropped_listener_does_not_listen() {
        let port = ReservedPort::any().unwrap();
        let listener = port.listen().unwrap();
        let _copy = listener.as_fd().try_clone_to_owned().unwrap();
        drop(listener);
        let refused = TcpStream::connect(port.addr()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _listener = port.listen().unwrap();
        TcpStream::connect(port.addr()).unwrap();
    }

    #[test]
    fn reserved_port_is_assigned_to_no_other_process() {
        let port = ReservedPort::any().unwrap();
        for _ in 0..200 {
            assert_ne!(ReservedPort::any().unwrap().addr(), port.addr());
        }
    }
}
