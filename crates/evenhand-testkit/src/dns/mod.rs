//! [`DnsServer`]: a real DNS server on loopback, whose zone a test changes while it runs.

mod answers;
mod fault;
mod zone;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{CNAME, SRV};
use hickory_server::proto::rr::{Name, RData};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;

pub use hickory_server::proto::rr::RecordType;

use crate::lock::lock;
use answers::Answers;
pub use fault::DnsFault;
use zone::Zone;

/// How often a port is looked for that is free for UDP and for TCP.
const TRIES: usize = 32;
/// How long a client may keep a TCP connection without a query.
const TCP_IDLE: Duration = Duration::from_secs(30);
const TCP_RESPONSES: usize = 16;
/// How long a test waits for a query: only what hangs takes as long.
const GUARD: Duration = Duration::from_secs(60);

/// A name server on 127.0.0.1, over UDP and TCP, for any names that a test gives it. It is
/// `hickory-server` with a zone in memory. It stops when this is dropped.
///
/// Names are complete, with or without the dot at the end. What the zone does not have does not exist
/// (`NXDOMAIN`), and a name without records of the type that is asked for is answered with none (`NODATA`).
///
/// ```
/// use evenhand_testkit::DnsServer;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let dns = DnsServer::start().await?;
/// dns.set("db.example", &["10.0.0.1", "fd00::1"], 5);
/// dns.set_srv("_mysql._tcp.db.example", &[(0, 1, 3306, "db.example")], 5);
/// assert_eq!(dns.addr().ip().to_string(), "127.0.0.1");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct DnsServer {
    addr: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked: watch::Receiver<u64>,
    server: tokio::task::JoinHandle<()>,
}

impl DnsServer {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// If no port can be had that is free for UDP and TCP.
    pub async fn start() -> io::Result<DnsServer> {
        let (udp, tcp) = sockets().await?;
        let addr = udp.local_addr()?;
        let zone = Arc::new(Mutex::new(Zone::default()));
        let (tell, asked) = watch::channel(0);
        let mut server = Server::new(Answers {
            zone: zone.clone(),
            tell,
        });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_RESPONSES);
        let server = tokio::spawn(async move {
            // Ends only with the task.
            let _ = server.block_until_done().await;
        });
        Ok(DnsServer {
            addr,
            zone,
            asked,
            server,
        })
    }

    /// Where it listens, for UDP and for TCP.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Gives `name` these addresses, in this order, in place of those that it had.
    ///
    /// # Panics
    /// If one of them is no IP address, or `name` no name.
    #[expect(clippy::expect_used, reason = "a test writes them")]
    pub fn set(&self, name: &str, addresses: &[impl AsRef<str>], ttl: u32) {
        let addresses: Vec<IpAddr> = addresses
            .iter()
            .map(|text| text.as_ref().parse().expect("an IP address"))
            .collect();
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) =
            addresses.iter().partition(|addr| addr.is_ipv4());
        let mut zone = lock(&self.zone);
        let name = complete(name);
        zone.set(&name, RecordType::A, ttl, v4.into_iter().map(RData::from));
        zone.set(
            &name,
            RecordType::AAAA,
            ttl,
            v6.into_iter().map(RData::from),
        );
    }

    /// Gives `service` these SRV records: priority, weight, port, target.
    ///
    /// # Panics
    /// If `service` or a target is no name.
    pub fn set_srv(&self, service: &str, records: &[(u16, u16, u16, &str)], ttl: u32) {
        let records = records.iter().map(|&(priority, weight, port, target)| {
            RData::SRV(SRV::new(priority, weight, port, complete(target)))
        });
        lock(&self.zone).set(&complete(service), RecordType::SRV, ttl, records);
    }

    /// Makes `name` an alias of `target`.
    ///
    /// # Panics
    /// If one of them is no name.
    pub fn set_alias(&self, name: &str, target: &str, ttl: u32) {
        let records = [RData::CNAME(CNAME(complete(target)))];
        lock(&self.zone).set(&complete(name), RecordType::CNAME, ttl, records);
    }

    /// Takes the name out of the zone, with all its records.
    ///
    /// # Panics
    /// If `name` is no name.
    pub fn remove(&self, name: &str) {
        lock(&self.zone).remove(&complete(name));
    }

    /// From now on, does this with queries for `name` and this type, or any type; with `None` it answers
    /// again.
    ///
    /// # Panics
    /// If `name` is no name.
    pub fn fail(
        &self,
        name: &str,
        of: impl Into<Option<RecordType>>,
        fault: impl Into<Option<DnsFault>>,
    ) {
        lock(&self.zone).fail(&complete(name), of.into(), fault.into());
    }

    /// How many queries for `name` and this type came, over UDP and TCP.
    ///
    /// # Panics
    /// If `name` is no name.
    pub fn queries(&self, name: &str, of: RecordType) -> u64 {
        lock(&self.zone).queries(&complete(name), of)
    }

    /// Waits until `count` queries for `name` and this type have come, in all.
    ///
    /// # Panics
    /// If they do not come within a minute, or `name` is no name.
    #[expect(clippy::expect_used, reason = "a test that hangs is to end")]
    pub async fn asked(&self, name: &str, of: RecordType, count: u64) {
        let mut asked = self.asked.clone();
        let enough = asked.wait_for(|_| self.queries(name, of) >= count);
        let waited = timeout(GUARD, enough).await;
        waited.expect("the queries came").expect("the server runs");
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A socket of each kind, on one port.
async fn sockets() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..TRIES {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no port was tried")))
}

#[expect(clippy::expect_used, reason = "a test writes it")]
fn complete(name: &str) -> Name {
    let mut name = Name::from_utf8(name).expect("a name");
    name.set_fqdn(true);
    name.to_lowercase()
}
