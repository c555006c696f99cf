//! The gauges of a pool, set from its usage once a second, and the counters of its peers from 0 on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Gauge, counter, gauge};
use tokio::time::sleep;

use super::table::{
    CONNECTION_LIMIT, CONNECTIONS, FAILURES, LOGINS, LOST_PEERS, POOL_CHECKING_OUT, POOL_LIMIT,
    POOL_WAITING, POOL_WAITS, RETRIES, UNKNOWN_OUTCOMES, WAITING, WAITS,
};
use crate::usage::{PeerUsage, Usage};

/// How often the gauges are set.
const INTERVAL: Duration = Duration::from_secs(1);

/// The counters whose only labels are the pool and the peer.
const COUNTERS: [&str; 5] = [RETRIES, WAITS, LOGINS, UNKNOWN_OUTCOMES, LOST_PEERS];

/// Sets the gauges until it is dropped. Then they are 0.
pub(super) async fn keep_gauges(pool: Arc<str>, usage: impl Fn() -> Usage) {
    let mut gauges = Gauges::new(pool);
    loop {
        gauges.show(&usage());
        sleep(INTERVAL).await;
    }
}

struct Gauges {
    pool: Arc<str>,
    /// If the pool has a limit.
    limited: Option<PoolGauges>,
    peers: HashMap<Arc<str>, PeerGauges>,
}

impl Gauges {
    fn new(pool: Arc<str>) -> Self {
        Self {
            pool,
            limited: None,
            peers: HashMap::new(),
        }
    }

    fn show(&mut self, usage: &Usage) {
        if let Some(limit) = usage.limit {
            let make = || PoolGauges::new(&self.pool);
            self.limited.get_or_insert_with(make).set(limit, usage);
        }
        // Those of peers that are gone are dropped.
        let mut before = std::mem::take(&mut self.peers);
        for peer in &usage.peers {
            let name = &peer.peer;
            let gauges = before.remove(name);
            let gauges = gauges.unwrap_or_else(|| PeerGauges::new(&self.pool, name));
            gauges.set(peer);
            self.peers.insert(name.clone(), gauges);
        }
    }
}

/// The gauges of one peer. They are 0 once these are dropped.
struct PeerGauges {
    in_use: Gauge,
    idle: Gauge,
    limit: Gauge,
    waiting: Gauge,
}

impl PeerGauges {
    fn new(pool: &Arc<str>, peer: &Arc<str>) -> Self {
        let of = |name| gauge!(name, "pool" => pool.clone(), "peer" => peer.clone());
        // They begin at 0: an increase from nothing would go unnoticed.
        for name in COUNTERS {
            let _ = counter!(name, "pool" => pool.clone(), "peer" => peer.clone());
        }
        // The peer is ejected for the first one, and then no caller asks it again.
        let (pool_, peer_) = (pool.clone(), peer.clone());
        let _ = counter!(FAILURES, "pool" => pool_, "peer" => peer_, "phase" => "connect", "row" => "login-refused");
        let state = |state| gauge!(CONNECTIONS, "pool" => pool.clone(), "peer" => peer.clone(), "state" => state);
        Self {
            in_use: state("in_use"),
            idle: state("idle"),
            limit: of(CONNECTION_LIMIT),
            waiting: of(WAITING),
        }
    }

    fn set(&self, usage: &PeerUsage) {
        self.in_use.set(usage.in_use as f64);
        self.idle.set(usage.idle as f64);
        self.limit.set(usage.limit as f64);
        self.waiting.set(usage.waiting as f64);
    }
}

impl Drop for PeerGauges {
    fn drop(&mut self) {
        let all = [&self.in_use, &self.idle, &self.limit, &self.waiting];
        all.into_iter().for_each(|gauge| gauge.set(0.0));
    }
}

/// The gauges of a pool's own limit. They are 0 once these are dropped.
struct PoolGauges {
    limit: Gauge,
    checking_out: Gauge,
    waiting: Gauge,
}

impl PoolGauges {
    fn new(pool: &Arc<str>) -> Self {
        let of = |name| gauge!(name, "pool" => pool.clone());
        let _ = counter!(POOL_WAITS, "pool" => pool.clone());
        Self {
            limit: of(POOL_LIMIT),
            checking_out: of(POOL_CHECKING_OUT),
            waiting: of(POOL_WAITING),
        }
    }

    fn set(&self, limit: usize, usage: &Usage) {
        self.limit.set(limit as f64);
        self.checking_out.set(usage.checking_out as f64);
        self.waiting.set(usage.waiting as f64);
    }
}

impl Drop for PoolGauges {
    fn drop(&mut self) {
        let all = [&self.limit, &self.checking_out, &self.waiting];
        all.into_iter().for_each(|gauge| gauge.set(0.0));
    }
}
