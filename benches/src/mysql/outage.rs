//! One of two servers is lost under load, and does not come back: what its clients see.
//!
//! Clients take a connection, ask for one value and give the connection back, without pause. After
//! a failure they pause for some milliseconds, so that a failure that is quick does not become
//! a loop. Unless it is said otherwise clients set no time limit: the figures show what each
//! pool does by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evenhand_mysql::Pool;
use evenhand_testkit::{HaProxy, MariaDb};
use mysql_async::prelude::Queryable;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::figures::{Figures, Phase, Tally};
use super::server::{self, TEXT, id, url};

/// How many clients there are.
pub const CLIENTS: usize = 20;
/// How long there is load before the fault.
pub const BEFORE: Duration = Duration::from_secs(1);
/// How long those wait for a connection, and for an answer, who limit it.
pub const LIMIT: Duration = Duration::from_secs(1);
/// How long a client pauses after a failure.
pub const PAUSE: Duration = Duration::from_millis(10);

/// What happens to one of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`: connections end, new ones are refused.
    Kill,
    /// SIGSTOP: connections hang, new ones are accepted and hear nothing.
    Freeze,
}

impl Fault {
    /// Does it.
    pub(super) fn strike(self, server: &mut MariaDb) {
        let done = match self {
            Self::Kill => server.kill(),
            Self::Freeze => server.freeze(),
        };
        done.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Evenhand over both servers.
    Evenhand,
    /// The same, and the query is marked idempotent.
    EvenhandIdempotent,
    /// Evenhand over both, and every wait is limited to [`LIMIT`].
    EvenhandLimited,
    /// `mysql_async::Pool` over HAProxy over both, without health checks.
    DriverProxy,
    /// The same, and every wait is limited to [`LIMIT`].
    DriverProxyLimited,
    /// `mysql_async::Pool` over the server that is lost.
    Driver,
}

impl Contender {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Evenhand,
        Self::EvenhandIdempotent,
        Self::EvenhandLimited,
        Self::DriverProxy,
        Self::DriverProxyLimited,
        Self::Driver,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evenhand => "evenhand",
            Self::EvenhandIdempotent => "evenhand, idempotent",
            Self::EvenhandLimited => "evenhand, limit 1 s",
            Self::DriverProxy => "mysql_async, haproxy",
            Self::DriverProxyLimited => "mysql_async, haproxy, limit 1 s",
            Self::Driver => "mysql_async, that server",
        }
    }

    fn limit(self) -> Duration {
        match self {
            Self::EvenhandLimited | Self::DriverProxyLimited => LIMIT,
            _ => Duration::MAX,
        }
    }
}

/// What all clients note down.
struct Log {
    /// How long a client waits for anything.
    limit: Duration,
    tally: Mutex<Tally>,
    over: AtomicBool,
    /// What each client waits for, and since when.
    waiting: [Mutex<Option<(Phase, Instant)>>; CLIENTS],
}

impl Log {
    /// Waits for something, and notes it down. `None` after a failure, and a pause.
    async fn note<T, E>(
        &self,
        client: usize,
        phase: Phase,
        wait: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        let begun = Instant::now();
        *lock(&self.waiting[client]) = Some((phase, begun));
        let outcome = timeout(self.limit, wait).await;
        *lock(&self.waiting[client]) = None;
        let outcome = outcome.ok().and_then(Result::ok);
        if !self.over.load(Ordering::Relaxed) {
            lock(&self.tally).ended(phase, begun, Instant::now(), outcome.is_some());
        }
        if outcome.is_none() {
            sleep(PAUSE).await;
        }
        outcome
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one contender through a fault, and for `window` after it.
pub fn run(contender: Contender, fault: Fault, window: Duration) -> Figures {
    let mut servers = server::start(2);
    let addrs = [servers[0].addr(), servers[1].addr()];
    let proxy = HaProxy::start(&addrs).unwrap_or_else(|error| panic!("{error}"));
    let runtime = super::two_threads();
    let log = Arc::new(Log {
        limit: contender.limit(),
        tally: Mutex::new(Tally::since(Instant::now())),
        over: AtomicBool::new(false),
        waiting: [const { Mutex::new(None) }; CLIENTS],
    });
    load(contender, &runtime, &log, &servers, &proxy);
    std::thread::sleep(BEFORE);

    let struck = Instant::now();
    *lock(&log.tally) = Tally::since(struck);
    fault.strike(&mut servers[0]);
    std::thread::sleep(window);

    log.over.store(true, Ordering::Relaxed);
    let waiting: Vec<_> = log.waiting.iter().filter_map(|one| *lock(one)).collect();
    let tally = std::mem::replace(&mut *lock(&log.tally), Tally::since(struck));
    let figures = tally.close(Instant::now(), waiting);
    // Clients of a frozen server would never end.
    runtime.shutdown_background();
    figures
}

fn load(
    contender: Contender,
    runtime: &Runtime,
    log: &Arc<Log>,
    servers: &[MariaDb],
    proxy: &HaProxy,
) {
    let evenhand = || {
        let urls: Vec<_> = servers.iter().map(MariaDb::addr).map(url).collect();
        let named = urls.iter().enumerate();
        Pool::new(named.map(|(n, url)| (format!("db{n}"), url.as_str())))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    match contender {
        Contender::Evenhand | Contender::EvenhandLimited => {
            let pool = evenhand();
            clients(runtime, log, move || {
                let pool = pool.clone();
                async move { pool.get_conn().await }
            });
        }
        Contender::EvenhandIdempotent => idempotent_clients(runtime, log, &evenhand()),
        Contender::DriverProxy | Contender::DriverProxyLimited | Contender::Driver => {
            let url = match contender {
                Contender::Driver => url(servers[0].addr()),
                _ => url(proxy.addr()),
            };
            let pool = mysql_async::Pool::new(url.as_str());
            clients(runtime, log, move || pool.get_conn());
        }
    }
}

fn clients<C, E, G, F>(runtime: &Runtime, log: &Arc<Log>, get: G)
where
    C: Queryable + Send + 'static,
    E: Send + 'static,
    G: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<C, E>> + Send + 'static,
{
    for client in 0..CLIENTS {
        let (get, log) = (get.clone(), log.clone());
        runtime.spawn(async move {
            let mut call = 0;
            while !log.is_over() {
                call += 1;
                let Some(mut conn) = log.note(client, Phase::Checkout, get()).await else {
                    continue;
                };
                let query = conn.query_first::<u64, _>(format!("{TEXT}{}", id(call)));
                log.note(client, Phase::Query, query).await;
            }
        });
    }
}

fn idempotent_clients(runtime: &Runtime, log: &Arc<Log>, pool: &Pool) {
    for client in 0..CLIENTS {
        let (pool, log) = (pool.clone(), log.clone());
        runtime.spawn(async move {
            let mut call = 0;
            while !log.is_over() {
                call += 1;
                let query = format!("{TEXT}{}", id(call));
                let work = pool.run_idempotent(async |mut conn| {
                    let value: mysql_async::Result<Option<u64>> = conn.query_first(&query).await;
                    value
                });
                log.note(client, Phase::Query, work).await;
            }
        });
    }
}
