//! Pools whose peers are the members of their cluster.

mod doubles;
mod galera;
mod group;
mod seeds;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use evenhand_mysql::Pool;
use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

use crate::common::until;

pub(crate) fn names(pool: &Pool) -> Vec<String> {
    let statuses = pool.statuses();
    let mut names: Vec<String> = statuses.iter().map(|s| s.peer.to_string()).collect();
    names.sort();
    names
}

/// The pool has these peers and no others, and all are up.
pub(crate) async fn up_are(pool: &Pool, names: &[&str]) {
    let mut expected = names.to_vec();
    expected.sort_unstable();
    let all_up = || {
        let statuses = pool.statuses();
        statuses.iter().all(|status| status.state == State::Up)
    };
    let what = format!("{expected:?} are up");
    until(&what, || self::names(pool) == expected && all_up()).await;
}

/// Twenty tasks that check out and run a statement, again and again. Each checkout must succeed.
pub(crate) struct Load {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    checkouts: Arc<AtomicU64>,
}

impl Load {
    pub(crate) fn on(pool: &Pool) -> Self {
        let (stop, checkouts) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let (pool, stop, checkouts) = (pool.clone(), stop.clone(), checkouts.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let mut conn = pool.get_conn().await.unwrap();
                    // Its server may be stopped meanwhile.
                    let _ = conn.query_drop("DO 1").await;
                    checkouts.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self {
            tasks,
            stop,
            checkouts,
        }
    }

    pub(crate) async fn goes_on(&self) {
        let done = || self.checkouts.load(Ordering::SeqCst);
        let before = done();
        until("checkouts are done", || done() >= before + 100).await;
    }

    /// Panics if a checkout failed.
    pub(crate) async fn end(mut self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::SeqCst);
        while let Some(task) = self.tasks.join_next().await {
            task.unwrap();
        }
    }
}
