//! Two threads send requests and change one set as fast as they can. Afterwards the set must hold
//! no permit and recover. This finds races that a paused clock on one thread cannot show.
//!
//! Results are counted in atomics, and nothing is kept for a request.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use evenhand::{AllDown, Attempt, Balance, BalanceLayer, Eject, Peers, State, Ticket, Verdict};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use tower::{Layer, Service};

const INTERVAL: Duration = Duration::from_millis(2);
const PERMANENT: [&str; 3] = ["a", "b", "c"];
const TEMPORARY: [&str; 2] = ["guest", "visitor"];
const REQUESTERS: usize = 8;
const TIME: Duration = Duration::from_millis(1500);
const ENOUGH: u64 = 1_000_000;

/// The state of one peer as the test sees it.
#[derive(Default)]
struct Watch {
    probes: AtomicU32,
    /// Restored manually: an older probe may still run during the next one.
    operated: AtomicBool,
    in_flight: AtomicU32,
    /// Set while the peer is drained and idle: no attempt may start.
    closed: AtomicBool,
}

type Target = Arc<Watch>;

#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    probes: AtomicU64,
    rival_probes: AtomicU64,
    attempts_while_closed: AtomicU64,
    stopping: AtomicBool,
}

/// A random number for each request, which decides its result.
struct Seeds(AtomicU64);

impl Seeds {
    fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Counts an attempt from its call until its future completes or is dropped.
struct InFlight {
    watch: Target,
    probe: bool,
}

impl InFlight {
    fn new(watch: Target, probe: bool, tally: &Tally) -> Self {
        watch.in_flight.fetch_add(1, SeqCst);
        if watch.closed.load(SeqCst) {
            tally.attempts_while_closed.fetch_add(1, SeqCst);
        }
        if probe {
            tally.probes.fetch_add(1, SeqCst);
            if watch.probes.fetch_add(1, SeqCst) > 0 && !watch.operated.load(SeqCst) {
                tally.rival_probes.fetch_add(1, SeqCst);
            }
        }
        Self { watch, probe }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.watch.in_flight.fetch_sub(1, SeqCst);
        if self.probe {
            self.watch.probes.fetch_sub(1, SeqCst);
        }
    }
}

#[derive(Clone)]
struct Connector {
    tally: Arc<Tally>,
    seeds: Arc<Seeds>,
}

/// An attempt's verdict, and a ticket for a later one.
struct Answer {
    verdict: Verdict,
    ticket: Option<Ticket<Target>>,
}

impl Service<Attempt<Target, ()>> for Connector {
    type Response = Answer;
    type Error = Verdict;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Verdict>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Verdict>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Target, ()>) -> Self::Future {
        let watch = Target::clone(&attempt.peer);
        let in_flight = InFlight::new(watch, attempt.is_probe(), &self.tally);
        let stopping = self.tally.stopping.load(SeqCst);
        let drawn = self.seeds.next();
        let ticket = match drawn % 16 {
            3 => Some(attempt.ticket()),
            4..8 => Some(attempt.deciding_ticket()),
            _ => None,
        };
        // A probe that has reported is over, so another one may start before its response.
        if drawn % 128 == 4 && !attempt.is_probe() {
            ticket
                .iter()
                .for_each(|ticket| ticket.report(Verdict::degraded()));
        }
        Box::pin(async move {
            for _ in 0..drawn % 3 {
                yield_now().await;
            }
            drop(in_flight);
            let verdict = match (drawn >> 8) % 64 {
                _ if stopping => Verdict::healthy(),
                0 => return Err(Verdict::down().safe()),
                1 => return Err(Verdict::suspect().safe()),
                2 => return Err(Verdict::neutral().safe()),
                3..6 => Verdict::degraded(),
                _ => Verdict::healthy(),
            };
            Ok(Answer { verdict, ticket })
        })
    }
}

type Judge = fn(Result<&Answer, &Verdict>) -> Verdict;
type Balanced = Balance<Connector, Target, evenhand::Rules<Judge>>;

struct StressTest {
    peers: Peers<Target>,
    balance: Balanced,
    tally: Arc<Tally>,
    seeds: Arc<Seeds>,
    all_down: AllDown,
}

fn stress_test(all_down: AllDown) -> StressTest {
    let peers = Peers::new(PERMANENT.map(|name| (name, Target::default()))).unwrap();
    let tally = Arc::<Tally>::default();
    let seeds = Arc::new(Seeds(AtomicU64::new(7)));
    let judge: Judge = |outcome| match outcome {
        Ok(answer) => answer.verdict,
        Err(verdict) => *verdict,
    };
    let balance = BalanceLayer::new(peers.clone())
        .classify(judge)
        .eject(Eject::on_first().recheck_every(INTERVAL))
        .all_down(all_down)
        .layer(Connector {
            tally: tally.clone(),
            seeds: seeds.clone(),
        });
    StressTest {
        peers,
        balance,
        tally,
        seeds,
        all_down,
    }
}

impl StressTest {
    /// Sends requests one after the other. Some are dropped, some report a late verdict.
    fn requester(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut balance, tally) = (self.balance.clone(), self.tally.clone());
        let seeds = self.seeds.clone();
        async move {
            while !tally.stopping.load(SeqCst) {
                tally.requests.fetch_add(1, SeqCst);
                let drawn = seeds.next();
                let mut future = Box::pin(balance.call(()));
                if drawn.is_multiple_of(8) {
                    // It is polled once and dropped.
                    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
                    continue;
                }
                let ticket = match future.await {
                    Ok(answer) => answer.ticket,
                    Err(_) => None,
                };
                if let Some(ticket) = ticket {
                    yield_now().await;
                    match (drawn >> 8) % 8 {
                        0 => ticket.report(Verdict::down()),
                        1 => ticket.report(Verdict::degraded()),
                        2 => drop(ticket),
                        _ => ticket.report(Verdict::healthy()),
                    }
                }
                // A request that fails at once would otherwise never yield.
                yield_now().await;
            }
        }
    }

    /// Adds peers, drains them, checks that they are idle, and removes them.
    fn operator(&self, name: &'static str) -> impl Future<Output = u32> + Send + use<> {
        let (peers, tally) = (self.peers.clone(), self.tally.clone());
        async move {
            let mut rounds = 0;
            while !tally.stopping.load(SeqCst) {
                let watch = Target::default();
                peers.add(name, watch.clone()).unwrap();
                yield_now().await;
                if rounds % 2 == 0 {
                    // A probe that is out goes on, and the next one may start.
                    watch.operated.store(true, SeqCst);
                    peers.eject(name, Duration::from_millis(1)).unwrap();
                    yield_now().await;
                    if rounds % 4 == 0 {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    peers.restore(name).unwrap();
                }
                let drained = timeout(Duration::from_secs(30), peers.drain(name)).await;
                drained.expect("a drain ends").unwrap();
                watch.closed.store(true, SeqCst);
                assert_eq!(watch.in_flight.load(SeqCst), 0, "a drained peer is idle");
                yield_now().await;
                peers.remove(name).unwrap();
                yield_now().await;
                assert_eq!(
                    watch.in_flight.load(SeqCst),
                    0,
                    "a removed peer gets no attempt"
                );
                rounds += 1;
            }
            rounds
        }
    }

    async fn run(&self) {
        let start = Instant::now();
        let requesters: Vec<_> = (0..REQUESTERS)
            .map(|_| tokio::spawn(self.requester()))
            .collect();
        let operators = TEMPORARY.map(|name| tokio::spawn(self.operator(name)));
        while start.elapsed() < TIME && self.tally.requests.load(SeqCst) < ENOUGH {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let statuses = self.peers.statuses();
            assert!(statuses.len() <= PERMANENT.len() + TEMPORARY.len());
        }
        self.tally.stopping.store(true, SeqCst);
        for requester in requesters {
            let ended = timeout(Duration::from_secs(30), requester).await;
            ended.expect("every request ends").unwrap();
        }
        for operator in operators {
            assert!(operator.await.unwrap() > 0);
        }
    }

    /// With no request in flight no permit is held, and every peer recovers.
    async fn assert_recovers(&self) {
        for status in self.peers.statuses() {
            assert_eq!(status.in_flight, 0, "{status:?}");
            assert_ne!(status.state, State::Probing, "{status:?}");
        }
        let all_up = async {
            let mut balance = self.balance.clone();
            while self.peers.up_count() < PERMANENT.len() {
                tokio::time::sleep(INTERVAL).await;
                drop(balance.call(()).await);
            }
        };
        let recovered = timeout(Duration::from_secs(30), all_up).await;
        recovered.expect("every peer recovers");
        assert_eq!(self.peers.len(), PERMANENT.len());
        let tally = &self.tally;
        println!(
            "{} requests, {} probes",
            tally.requests.load(SeqCst),
            tally.probes.load(SeqCst)
        );
        assert!(tally.probes.load(SeqCst) > 0);
        // An open attempt brings a peer back while its probe runs on, as an operator does.
        if self.all_down != AllDown::FailOpen {
            assert_eq!(tally.rival_probes.load(SeqCst), 0, "one probe at a time");
        }
        assert_eq!(
            tally.attempts_while_closed.load(SeqCst),
            0,
            "a drained peer gets no attempt"
        );
    }
}

async fn stress(all_down: AllDown) {
    let stress_test = stress_test(all_down);
    stress_test.run().await;
    stress_test.assert_recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_when_all_down_leaks_nothing() {
    stress(AllDown::Fail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_when_all_down_leaks_nothing() {
    stress(AllDown::WaitUpTo(Duration::from_millis(20))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_open_leaks_nothing() {
    stress(AllDown::FailOpen).await;
}
