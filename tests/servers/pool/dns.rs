//! A pool that follows a name in DNS, over real servers on addresses of 127.0.0.0/8, under load.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use evenhand_dns::{Discovery, Dns, Source};
use evenhand_mysql::Pool;
use evenhand_mysql::mysql_async::{self, Opts, prelude::Queryable};
use evenhand_testkit::dns::DnsFault::{Empty, NxDomain, ServFail, Silent};
use evenhand_testkit::dns::RecordType::A;
use evenhand_testkit::{DnsServer, MariaDb, MariaDbError};
use evenhand_tests::{quick, until};
use tokio::task::{JoinSet, spawn_blocking};

const TASKS: usize = 20;
const LIMIT: Duration = Duration::from_secs(120);
const SERVERS: u8 = 3;

/// Servers on one port of 127.0.0.1, 127.0.0.2 and so on. Each says by its id which it is.
fn start() -> Result<Vec<MariaDb>, MariaDbError> {
    let first = MariaDb::builder().arg("--server-id=1").start()?;
    let port = first.port();
    let mut servers = vec![first];
    for n in 2..=SERVERS {
        let addr = SocketAddr::from(([127, 0, 0, n], port));
        let builder = MariaDb::builder().arg(format!("--server-id={n}"));
        servers.push(builder.addr(addr).start()?);
    }
    Ok(servers)
}

fn opts(addr: SocketAddr) -> Opts {
    Opts::from_url(&format!("mysql://root@{addr}/test")).unwrap()
}

/// Tasks that query without pause.
struct Load {
    stop: Arc<AtomicBool>,
    /// Answers by server.
    answers: Arc<[AtomicU64; SERVERS as usize]>,
    tasks: JoinSet<Vec<String>>,
}

async fn ask(pool: &Pool) -> mysql_async::Result<u8> {
    let mut conn = pool.get_conn().await?;
    let id: Option<u8> = conn.query_first("SELECT @@server_id").await?;
    Ok(id.unwrap())
}

impl Load {
    fn start(pool: &Pool) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<[_; 3]>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (pool, stop) = (pool.clone(), stop.clone());
            let answers: Arc<[AtomicU64; SERVERS as usize]> = answers.clone();
            tasks.spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(SeqCst) {
                    match ask(&pool).await {
                        Ok(id) => {
                            answers[usize::from(id) - 1].fetch_add(1, SeqCst);
                        }
                        Err(error) => failures.push(error.to_string()),
                    }
                }
                failures
            });
        }
        Self {
            stop,
            answers,
            tasks,
        }
    }

    fn answers(&self) -> Vec<u64> {
        self.answers.iter().map(|n| n.load(SeqCst)).collect()
    }

    /// Until each of these servers, and no other one, answers.
    async fn is_on(&self, servers: &[u8]) {
        let mut before = self.answers();
        let what = format!("only {servers:?} answer");
        let expected: BTreeSet<u8> = servers.iter().copied().collect();
        until(&what, LIMIT, || {
            let now = self.answers();
            let grown = before.iter().zip(&now).map(|(before, now)| now - before);
            let grown: Vec<_> = grown.collect();
            if grown.iter().sum::<u64>() < 200 {
                return false;
            }
            // A statement that was under way when a server left still ends there, so look again.
            before = now;
            let busy = (1..).zip(&grown).filter(|(_, count)| **count > 0);
            busy.map(|(id, _)| id).eq(expected.iter().copied())
        })
        .await;
    }

    async fn stop(mut self) {
        self.stop.store(true, SeqCst);
        while let Some(failures) = self.tasks.join_next().await {
            assert_eq!(failures.unwrap(), Vec::<String>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_checkout_fails_while_the_records_of_a_name_change() {
    let started = spawn_blocking(start).await.unwrap();
    let mut servers = started.unwrap_or_else(|error| panic!("{error}"));
    let port = servers[0].port();
    let dns = DnsServer::start().await.unwrap();
    let set = |hosts: &[u8]| {
        let hosts: Vec<_> = hosts.iter().map(|n| format!("127.0.0.{n}")).collect();
        dns.set("db.example", &hosts, 0);
    };
    set(&[1]);

    let name = format!("dns:db.example.:{port}").parse().unwrap();
    let source = Source::dns(&Dns::name_server(dns.addr()).unwrap(), name);
    let pause = Duration::from_millis(100);
    let discovery = Discovery::new([source]).min_ttl(pause).max_retry(pause);
    let first = SocketAddr::from(([127, 0, 0, 1], port));
    let pool = quick()
        .open([(format!("db.example/{first}"), opts(first))])
        .unwrap();
    let changes = discovery.changes();
    let handle = changes.handle();
    let _following =
        pool.follow_placed(changes.targets(|address| address.placed(opts(address.addr))));
    let load = Load::start(&pool);
    let looked_up = async || {
        let asked = dns.queries("db.example", A);
        dns.asked("db.example", A, asked + 3).await;
    };

    load.is_on(&[1]).await;
    // Added, and reordered.
    set(&[1, 2]);
    load.is_on(&[1, 2]).await;
    set(&[2, 1]);
    looked_up().await;
    load.is_on(&[1, 2]).await;
    // Removed, and its server ends.
    set(&[2]);
    load.is_on(&[2]).await;
    servers[0].kill().unwrap();
    load.is_on(&[2]).await;
    // Moved.
    set(&[3]);
    load.is_on(&[3]).await;
    // The name server fails, finds nothing, or says nothing.
    for fault in [ServFail, NxDomain, Empty, Silent] {
        dns.fail("db.example", None, fault);
        until("a failure", LIMIT, || handle.sources()[0].error.is_some()).await;
        load.is_on(&[3]).await;
        dns.fail("db.example", None, None);
        until("an answer", LIMIT, || handle.sources()[0].error.is_none()).await;
    }
    // With a server that is down among them.
    set(&[1, 2, 3]);
    load.is_on(&[2, 3]).await;
    load.stop().await;
}
