//! Connections and peers are cancelled, cut, frozen, drained or ejected during use. Afterwards
//! every permit is free, no checkout waits, and the pool works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::common::{err, fakes, pool_with, quick, until, up};
use evenhand_mysql::Pool;
use evenhand_mysql::mysql_async::TxOpts;
use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_testkit::{FakeMySql, Fault};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const TIME: Duration = Duration::from_secs(4);

/// Draws that differ from one task to the next and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % n
    }
}

async fn use_it(pool: Pool, mut dice: Dice, done: Arc<AtomicU64>) {
    let end = Instant::now() + TIME;
    while Instant::now() < end {
        let patience = Duration::from_micros(1 << dice.below(18));
        let way = dice.below(4);
        let work = async {
            match way {
                0 => drop("SELECT SLEEP(0.002)".ignore(&pool).await),
                1 => {
                    if let Ok(mut conn) = pool.get_conn().await {
                        let _ = conn.query_drop("SELECT SLEEP(0.002)").await;
                    }
                }
                2 => {
                    if let Ok(mut transaction) = pool.start_transaction(TxOpts::default()).await {
                        let _ = transaction.query_drop("INSERT INTO t VALUES (1)").await;
                    }
                }
                _ => drop("SELECT 1".run(&pool).await),
            }
        };
        let _ = timeout(patience, work).await;
        done.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

/// Does another harm each time that some more work is `done`, well or not.
async fn disturb(pool: Pool, fakes: &[FakeMySql], mut dice: Dice, done: &AtomicU64) {
    let end = Instant::now() + TIME;
    let peers = pool.peers();
    while Instant::now() < end {
        let fake = &fakes[dice.below(2) as usize];
        match dice.below(8) {
            0 => fake.cut_connections(),
            1 => fake.freeze(),
            2 => fake.thaw(),
            3 => fake.set_fault(Fault::ErrAtLogin(err(1040, "Too many connections"))),
            4 => fake.clear_fault(),
            5 => drop(timeout(Duration::from_millis(20), peers.drain("a")).await),
            6 => peers.restore("a").unwrap(),
            _ => peers.eject("b", Duration::from_millis(20)).unwrap(),
        }
        let enough = done.load(Ordering::Relaxed) + dice.below(100);
        // Those who work end at the same time.
        let is_enough = || done.load(Ordering::Relaxed) >= enough || Instant::now() >= end;
        until("more is done", is_enough).await;
    }
    for (fake, name) in fakes.iter().zip(["a", "b"]) {
        fake.thaw();
        fake.clear_fault();
        peers.restore(name).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disturbed_pool_leaks_nothing() {
    for parameters in [
        "pool_min=2&pool_max=5",
        "pool_min=0&pool_max=5&reset_connection=false",
    ] {
        let fakes: [_; 2] = fakes().await;
        let options = quick()
            .max_connections(8)
            .checkout_timeout(Duration::from_secs(10));
        let pool = pool_with(parameters, &fakes, options);
        let mut tasks = JoinSet::new();
        let done = Arc::<AtomicU64>::default();
        for seed in 0..24 {
            tasks.spawn(use_it(pool.clone(), Dice(seed), done.clone()));
        }
        disturb(pool.clone(), &fakes, Dice(99), &done).await;
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }

        until("both are up", || up(&pool) == 2).await;
        until("every permit is free, and no checkout waits", || {
            let usage = pool.usage();
            let peers = usage.peers.iter().map(|peer| peer.in_use + peer.waiting);
            usage.in_use + usage.checking_out + usage.waiting + peers.sum::<usize>() == 0
        })
        .await;
        until("no attempt is under way", || {
            pool.statuses().iter().all(|status| status.in_flight == 0)
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(pool.get_conn().await.unwrap());
        }
        for conn in &mut held {
            assert_eq!(conn.query_first("SELECT 1").await.unwrap(), Some(1));
        }
        drop(held);
        pool.disconnect().await.unwrap();
    }
}
