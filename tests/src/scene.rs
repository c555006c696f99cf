//! A scene: a pool under mixed work, a fault of a peer, and what must hold whatever it is.
//!
//! Idempotent work never fails. Plain work fails only where it held a connection to the peer that
//! had the fault, while it lasted. Every checkout ends by its deadline. In the end nothing is
//! left: no task in this process, no session on a server.

use std::time::Duration;

use evenhand_mysql::evenhand::{EventKind, Events, State};
use evenhand_mysql::mysql_async::{self, prelude::Queryable};
use evenhand_mysql::{Pool, PoolOptions};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::mixed::{Count, Failure, Mixed, Work};
use crate::{quick, sql, states, told, until};

/// The deadline of a checkout.
pub const CHECKOUT: Duration = Duration::from_secs(3);

/// How long a peer may take to be back in, and all things to be closed.
const LIMIT: Duration = Duration::from_secs(20);

/// How much a peer must do to count as one that works.
const ENOUGH: usize = 50;

/// How a scene's pool is set.
pub fn options() -> PoolOptions {
    quick()
        .checkout_timeout(CHECKOUT)
        // The driver has a task that looks for idle connections, four times in this time, and that
        // ends only when it next looks.
        .idle_timeout(Some(Duration::from_secs(4)))
}

/// A pool under work.
pub struct Scene {
    /// The pool.
    pub pool: Pool,
    name: &'static str,
    names: Vec<String>,
    load: Mixed,
    events: Events,
    told: Vec<(String, EventKind)>,
    faults: Vec<Fault>,
    begun: Instant,
    tasks_before: usize,
}

/// When a peer had a fault that plain work may notice.
#[derive(Clone, Debug)]
struct Fault {
    peer: String,
    from: Instant,
    to: Option<Instant>,
}

impl Fault {
    /// Whether this failure had a connection to the peer while the fault lasted.
    fn explains(&self, failure: &Failure) -> bool {
        failure.peer.as_ref() == Some(&self.peer)
            && failure.at >= self.from
            && self.to.is_none_or(|to| failure.since <= to)
    }
}

impl Scene {
    /// Starts the work over the named peers.
    ///
    /// # Panics
    ///
    /// If a URL is not valid.
    pub fn open(name: &'static str, peers: &[(&str, String)], work: Work) -> Self {
        Self::with(options(), name, peers, work)
    }

    /// As [`open`](Scene::open), with a pool that is set in another way.
    ///
    /// # Panics
    ///
    /// If a URL is not valid.
    pub fn with(
        options: PoolOptions,
        name: &'static str,
        peers: &[(&str, String)],
        work: Work,
    ) -> Self {
        let tasks_before = Handle::current().metrics().num_alive_tasks();
        let urls = peers.iter().map(|(name, url)| (*name, url.as_str()));
        let pool = options.open(urls).unwrap();
        Self {
            name,
            names: peers.iter().map(|(name, _)| (*name).to_owned()).collect(),
            events: pool.subscribe(),
            load: Mixed::start(&pool, work),
            pool,
            told: Vec::new(),
            faults: Vec::new(),
            begun: Instant::now(),
            tasks_before,
        }
    }

    /// Waits until this peer has done some work from now on.
    ///
    /// # Panics
    ///
    /// If it does not in time.
    pub async fn serves(&self, peer: &str) {
        let before = self.load.by(peer);
        let what = format!("{}: {peer} works", self.name);
        until(&what, LIMIT, || self.load.by(peer) >= before + ENOUGH).await;
    }

    /// Waits until every peer has done some work from now on.
    ///
    /// # Panics
    ///
    /// If one does not in time.
    pub async fn all_serve(&self) {
        for peer in &self.names {
            self.serves(peer).await;
        }
    }

    /// What this peer has done so far.
    pub fn by(&self, peer: &str) -> usize {
        self.load.by(peer)
    }

    /// Waits until all idempotent work that is under way has ended.
    ///
    /// # Panics
    ///
    /// If some has not in time.
    pub async fn idempotent_work_ends(&self) {
        let before = self.load.idempotent_rounds();
        let what = format!("{}: idempotent work ends", self.name);
        until(&what, LIMIT, || {
            let now = self.load.idempotent_rounds();
            now.iter().zip(&before).all(|(now, before)| now > before)
        })
        .await;
    }

    /// Adds a peer.
    ///
    /// # Panics
    ///
    /// If its URL is not valid.
    pub fn add(&mut self, peer: &str, url: &str) {
        self.pool.peers().add(peer, url).unwrap();
        self.names.push(peer.to_owned());
    }

    /// The state of a peer.
    pub fn state(&self, peer: &str) -> State {
        let number = self.names.iter().position(|name| name == peer).unwrap();
        states(&self.pool)[number]
    }

    /// Waits until this peer is in, or out.
    ///
    /// # Panics
    ///
    /// If it is not so in time.
    pub async fn until_up(&self, peer: &str, up: bool) {
        let what = format!("{}: {peer} is up: {up}", self.name);
        let is = || (self.state(peer) == State::Up) == up;
        until(&what, LIMIT, is).await;
    }

    /// From now on plain work may fail on connections to this peer.
    pub fn fault_begins(&mut self, peer: &str) {
        self.faults.push(Fault {
            peer: peer.to_owned(),
            from: Instant::now(),
            to: None,
        });
    }

    /// From now on plain work that gets a connection to it must not fail any more: whatever happened to
    /// its connections is known in this process.
    ///
    /// # Panics
    ///
    /// If there is no peer that works.
    pub async fn fault_ends(&mut self) {
        // News that is under way is here before the answer to what is asked now.
        let asked: mysql_async::Result<()> = self
            .pool
            .run_idempotent(async |mut conn| conn.ping().await)
            .await;
        asked.unwrap();
        if let Some(fault) = self.faults.last_mut() {
            fault.to = Some(Instant::now());
        }
    }

    /// Sees to it that this peer has done nothing for those who got a connection after the latest
    /// fault had ended, and the others have.
    ///
    /// # Panics
    ///
    /// If it has, or another one does nothing in time.
    pub async fn others_serve(&self, peer: &str) {
        for other in self.names.iter().filter(|name| *name != peer) {
            self.serves(other).await;
        }
        let ended = self.faults.last().and_then(|fault| fault.to);
        let latest = self.load.count().latest.get(peer).copied();
        assert!(
            latest <= ended,
            "{}: {peer} works while it is out",
            self.name
        );
    }

    /// What happened to the peers so far, as (peer, kind).
    pub fn told(&mut self) -> &[(String, EventKind)] {
        self.told.extend(told(&mut self.events));
        &self.told
    }

    /// How often this peer was ejected so far.
    pub fn ejections(&mut self, peer: &str) -> usize {
        let is = |(name, kind): &&(String, EventKind)| {
            name == peer && matches!(kind, EventKind::Ejected { .. })
        };
        self.told().iter().filter(is).count()
    }

    /// Waits until this number of probes of the peer have failed while it was out.
    ///
    /// # Panics
    ///
    /// If they have not in time.
    pub async fn probes_fail(&mut self, peer: &str, times: usize) {
        let what = format!("{}: {times} probes of {peer} fail", self.name);
        let is = |(name, kind): &&(String, EventKind)| {
            name == peer && matches!(kind, EventKind::ProbeFailed { .. })
        };
        let failed = || self.told().iter().filter(is).count() >= times;
        until(&what, LIMIT, failed).await;
    }

    /// Ends the work, closes the pool, and sees to it that all held what must hold; `servers` are
    /// looked at for sessions that are left.
    ///
    /// # Panics
    ///
    /// If something did not hold.
    pub async fn close(mut self, servers: &[String]) -> Count {
        self.told();
        let (name, pool) = (self.name, self.pool);
        let count = self.load.stop().await;
        println!(
            "{name}: idempotent {:?}, {} failed; plain {:?}, {} failed; longest checkout {:?}, \
             longest idempotent work {:?}; ejections {}; {:.1?}",
            count.idempotent.served,
            count.idempotent.failed.len(),
            count.plain.served,
            count.plain.failed.len(),
            count.longest_checkout,
            count.longest_work,
            self.told
                .iter()
                .filter(|(_, kind)| matches!(kind, EventKind::Ejected { .. }))
                .count(),
            self.begun.elapsed(),
        );
        let some = |failed: &[&Failure]| -> Vec<String> {
            let say = |failure: &&Failure| format!("{failure}");
            failed.iter().take(5).map(say).collect()
        };
        let failed: Vec<_> = count.idempotent.failed.iter().collect();
        let what = "of idempotent work failed, such as";
        assert!(
            failed.is_empty(),
            "{name}: {} {what} {:#?}",
            failed.len(),
            some(&failed)
        );
        let unexplained = |failure: &&Failure| !self.faults.iter().any(|f| f.explains(failure));
        let failed: Vec<_> = count.plain.failed.iter().filter(unexplained).collect();
        let what = "of plain work failed without a reason, such as";
        assert!(
            failed.is_empty(),
            "{name}: {} {what} {:#?}",
            failed.len(),
            some(&failed)
        );
        drop(self.events);
        nothing_is_left(name, pool, self.tasks_before, servers).await;
        count
    }
}

/// Closes the pool, and waits until none of its tasks is left and no session on the servers.
///
/// # Panics
///
/// If something is.
pub async fn nothing_is_left(name: &str, pool: Pool, tasks_before: usize, servers: &[String]) {
    pool.disconnect().await.unwrap();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let what = format!("{name}: no task is left");
    until(&what, LIMIT, || tasks() <= tasks_before).await;
    for url in servers {
        sql::until_left(url, 0, LIMIT).await;
    }
}
