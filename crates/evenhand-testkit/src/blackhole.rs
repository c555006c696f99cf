//! [`Blackhole`]: an address on which connects hang, as on a host that has lost its network.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A connect on loopback is done in microseconds, or not at all.
const HANGS: Duration = Duration::from_millis(50);
/// Linux holds one connection more than the backlog says, other systems some more.
const MOST: usize = 64;

/// A port on 127.0.0.1 whose connections are never accepted, with a full backlog: the kernel drops
/// further connection requests, so a connect is neither made nor refused. The client's kernel
/// gives up after two minutes.
///
/// A peer that accepts and stays silent is [`Fault::Silent`](crate::Fault::Silent), or a frozen
/// [`FakeMySql`](crate::FakeMySql).
///
/// ```
/// use std::net::TcpStream;
/// use std::time::Duration;
///
/// let hole = evenhand_testkit::Blackhole::start()?;
/// let limit = Duration::from_millis(20);
/// assert!(TcpStream::connect_timeout(&hole.addr(), limit).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Blackhole {
    addr: SocketAddr,
    // Never read, as is what fills its backlog.
    _listener: Socket,
    _held: Vec<TcpStream>,
}

impl Blackhole {
    /// Opens one on a free port, and returns when a connect has been seen to hang.
    ///
    /// # Errors
    /// If no port can be had, or if the kernel makes connections however many there are.
    pub fn start() -> io::Result<Blackhole> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(0)?;
        let addr = listener
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::other("a socket that was bound to an address has none"))?;
        let mut held = Vec::new();
        while held.len() < MOST {
            match TcpStream::connect_timeout(&addr, HANGS) {
                Ok(stream) => held.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Blackhole {
                        addr,
                        _listener: listener,
                        _held: held,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!(
            "the kernel made {MOST} connections to {addr}, which accepts none"
        )))
    }

    /// Where connects hang.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port of [`addr`](Blackhole::addr).
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// `mysql://root@127.0.0.1:PORT/test`
    pub fn url(&self) -> String {
        format!("mysql://root@{}/test", self.addr)
    }
}
