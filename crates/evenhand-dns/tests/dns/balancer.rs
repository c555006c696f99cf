//! A balancer that follows a name, over real connections, while its records change.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use evenhand_dns::evenhand::{
    AllDown, Attempt, BalanceLayer, Eject, Peer, Peers, Probe, TaskGuard, Verdict,
};
use evenhand_testkit::DnsServer;
use evenhand_testkit::dns::DnsFault::{Empty, NxDomain, ServFail};
use evenhand_testkit::dns::RecordType::A;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::balance::p2c::Balance;
use tower::load::Constant;
use tower::{Service, ServiceExt, service_fn};

use crate::support::{GUARD, MIN_TTL, discovery, eventually};

const CALLERS: usize = 20;
const REQUEST: u8 = b'r';
const PROBE: u8 = b'p';

/// A server that answers each connection's one byte. It holds requests while its gate is shut.
struct Server {
    addr: SocketAddr,
    requests: Arc<AtomicU64>,
    gate: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(ip: &str, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((ip.parse::<IpAddr>().unwrap(), port)).await?;
        let addr = listener.local_addr()?;
        let (requests, gate) = (Arc::<AtomicU64>::default(), watch::Sender::new(true));
        let (counted, gated) = (requests.clone(), gate.subscribe());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, counted.clone(), gated.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            addr,
            requests,
            gate,
            _task: task,
        })
    }

    fn requests(&self) -> u64 {
        self.requests.load(SeqCst)
    }

    async fn serves(&self) {
        let before = self.requests();
        eventually("requests", || self.requests() > before + 20).await;
    }
}

async fn serve(mut stream: TcpStream, requests: Arc<AtomicU64>, mut gate: watch::Receiver<bool>) {
    // A client that is gone needs no answer.
    let Ok(kind) = stream.read_u8().await else {
        return;
    };
    if kind == REQUEST {
        requests.fetch_add(1, SeqCst);
        let _ = gate.wait_for(|open| *open).await;
    }
    let _ = stream.write_u8(kind).await;
}

async fn ask(addr: SocketAddr, kind: u8) -> io::Result<u8> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_u8(kind).await?;
    stream.read_u8().await
}

/// Servers on the same port of 127.0.1.1 and so on.
async fn servers<const N: usize>() -> [Server; N] {
    for _ in 0..64 {
        let first = Server::start("127.0.1.1", 0).await.unwrap();
        let port = first.addr.port();
        let mut all = vec![first];
        for n in 2..=N {
            match Server::start(&format!("127.0.1.{n}"), port).await {
                Ok(server) => all.push(server),
                Err(_) => break,
            }
        }
        if let Ok(all) = all.try_into() {
            return all;
        }
    }
    panic!("no port is free on {N} addresses");
}

struct Stack {
    peers: Peers<SocketAddr>,
    dns: DnsServer,
    port: u16,
    _following: TaskGuard,
}

impl Stack {
    /// What follows `db.example`, which has the addresses 127.0.1.`n`.
    async fn new(port: u16, hosts: &[u8]) -> Self {
        let dns = DnsServer::start().await.unwrap();
        let name = format!("dns:db.example:{port}");
        let changes = discovery(&dns, &[&name]).max_retry(MIN_TTL).changes();
        let peers = Peers::new::<&str>([]).unwrap();
        let joining = peers.joining_on_proof();
        let following = joining.follow(changes.targets(|address| address.addr));
        let stack = Self {
            peers,
            dns,
            port,
            _following: following,
        };
        stack.set(hosts);
        stack
    }

    fn set(&self, hosts: &[u8]) {
        let addresses: Vec<_> = hosts.iter().map(|n| format!("127.0.1.{n}")).collect();
        self.dns.set("db.example", &addresses, 0);
    }

    fn name(&self, host: u8) -> String {
        format!("db.example/127.0.1.{host}:{}", self.port)
    }

    /// Until these are the peers, and no others.
    async fn until(&self, hosts: &[u8]) {
        let mut expected: Vec<_> = hosts.iter().map(|n| self.name(*n)).collect();
        expected.sort();
        eventually("the peers", || {
            let mut names: Vec<_> = self.peers.iter().map(|p| p.name().to_owned()).collect();
            names.sort();
            names == expected && self.peers.up_count() == expected.len()
        })
        .await;
    }

    /// Two more lookups, so that what they say is applied.
    async fn looked_up(&self) {
        let asked = self.dns.queries("db.example", A);
        self.dns.asked("db.example", A, asked + 3).await;
    }

    fn balance(
        &self,
    ) -> impl Service<u8, Response = u8, Error: std::fmt::Debug + Send, Future: Send>
    + Clone
    + Send
    + 'static {
        let probe =
            service_fn(|peer: Peer<SocketAddr>| async move { ask(*peer, PROBE).await.map(drop) });
        BalanceLayer::new(self.peers.clone())
            .all_down(AllDown::WaitUpTo(Duration::from_secs(30)))
            .eject(Eject::on_first().recheck_every(Duration::from_millis(50)))
            .probe(Probe::new(probe, Duration::from_secs(5)))
            .service_classified_by(
                service_fn(async |attempt: Attempt<SocketAddr, u8>| {
                    ask(*attempt.peer, attempt.request).await
                }),
                |outcome| match outcome {
                    Ok(_) => Verdict::healthy(),
                    // What was refused was not done; a lost connection would be a failure of the caller's.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        Verdict::down().safe()
                    }
                    Err(_) => Verdict::down(),
                },
            )
    }

    /// Callers that send one request after the other, and how many requests failed.
    fn load(&self, stop: &Arc<AtomicBool>) -> JoinSet<Vec<String>> {
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (balance, stop) = (self.balance(), stop.clone());
            callers.spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(SeqCst) {
                    if let Err(error) = balance.clone().oneshot(REQUEST).await {
                        failures.push(format!("{error:?}"));
                    }
                    sleep(Duration::from_millis(2)).await;
                }
                failures
            });
        }
        callers
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_records_change_under_load() {
    let [one, two, three] = servers::<3>().await;
    let stack = Stack::new(one.addr.port(), &[1]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = stack.load(&stop);
    one.serves().await;

    // Added.
    stack.set(&[1, 2]);
    two.serves().await;
    // Reordered.
    stack.set(&[2, 1]);
    stack.looked_up().await;
    stack.until(&[1, 2]).await;
    // Removed.
    stack.set(&[2]);
    stack.until(&[2]).await;
    let left_alone = async {
        loop {
            let before = one.requests();
            two.serves().await;
            // One that was on its way there may still arrive.
            if one.requests() == before {
                return;
            }
        }
    };
    timeout(GUARD, left_alone)
        .await
        .expect("a peer that left gets no request");
    // Moved.
    stack.set(&[3]);
    stack.until(&[3]).await;
    three.serves().await;
    // The name server fails, or finds nothing.
    for fault in [ServFail, NxDomain, Empty] {
        stack.dns.fail("db.example", None, fault);
        stack.looked_up().await;
        three.serves().await;
        stack.until(&[3]).await;
    }
    stack.dns.fail("db.example", None, None);
    // An address where nothing listens takes no work, and pushes none out that works.
    stack.set(&[9]);
    stack.looked_up().await;
    three.serves().await;
    assert!(stack.peers.get(&stack.name(9)).is_some());
    stack.set(&[1, 2, 3]);
    stack.until(&[1, 2, 3]).await;
    for server in [&one, &two, &three] {
        server.serves().await;
    }

    stop.store(true, SeqCst);
    while let Some(failures) = callers.join_next().await {
        assert_eq!(failures.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_on_a_peer_that_leaves_goes_on() {
    let [one, two] = servers::<2>().await;
    let stack = Stack::new(one.addr.port(), &[1]).await;
    let balance = stack.balance();
    stack.until(&[1]).await;
    one.gate.send_replace(false);
    let request = tokio::spawn(balance.clone().oneshot(REQUEST));
    eventually("the request", || one.requests() == 1).await;

    stack.set(&[2]);
    stack.until(&[2]).await;
    assert_eq!(balance.oneshot(REQUEST).await.unwrap(), REQUEST);
    assert_eq!((one.requests(), two.requests()), (1, 1));
    assert!(!request.is_finished());
    one.gate.send_replace(true);
    assert_eq!(request.await.unwrap().unwrap(), REQUEST);
}

#[tokio::test]
async fn towers_balancer_follows_a_name_and_outlives_lookups_that_fail() {
    let [one, two] = servers::<2>().await;
    let dns = DnsServer::start().await.unwrap();
    dns.set("db.example", &["127.0.1.1"], 0);
    let name = format!("dns:db.example:{}", one.addr.port());
    let changes = discovery(&dns, &[&name]).max_retry(MIN_TTL).changes();
    let mut balance = Balance::new(changes.targets(|address| {
        let ask = move |request| ask(address.addr, request);
        Constant::new(service_fn(ask), 1_u32)
    }));
    let request = balance.ready().await.unwrap().call(REQUEST);
    assert_eq!(request.await.unwrap(), REQUEST);

    dns.fail("db.example", None, ServFail);
    let asked = dns.queries("db.example", A);
    dns.asked("db.example", A, asked + 3).await;
    let request = balance.ready().await.unwrap().call(REQUEST);
    assert_eq!(request.await.unwrap(), REQUEST);
    assert_eq!(one.requests(), 2);

    dns.fail("db.example", None, None);
    dns.set("db.example", &["127.0.1.2"], 0);
    // It asks its discovery only when a request comes.
    let moved = async {
        while two.requests() == 0 {
            let request = balance.ready().await.unwrap().call(REQUEST);
            assert_eq!(request.await.unwrap(), REQUEST);
        }
    };
    timeout(GUARD, moved)
        .await
        .expect("requests go to the new address");
}
