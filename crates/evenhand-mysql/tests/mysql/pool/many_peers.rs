//! Thousands of peers of which one works.

use evenhand_mysql::PoolOptions;
use evenhand_mysql::evenhand::Lagged;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::common::{GUARD, fakes, soon, until};

const PEERS: usize = 10_000;
const CALLERS: usize = 100;

/// Their ejections are more than a reader of events can follow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_stay_in_proportion_when_most_peers_refuse() {
    let [works] = fakes::<1>().await;
    // Nothing listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refuses = format!("mysql://root@{}/test", listener.local_addr().unwrap());
    drop(listener);
    let names: Vec<String> = (1..PEERS).map(|n| format!("refuses{n}")).collect();
    let refusing = names.iter().map(|name| (name.as_str(), refuses.as_str()));
    let url = works.url();
    let peers = refusing.chain([("works", url.as_str())]);
    // Nothing depends on how busy the machine is.
    let options = PoolOptions::new()
        .connect_timeout(GUARD)
        .checkout_timeout(GUARD);
    let pool = options.open(peers).unwrap();
    let metrics = Handle::current().metrics();
    let mut events = pool.subscribe();
    let mut most = 0;

    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let pool = pool.clone();
        callers.spawn(async move { pool.get_conn().await.unwrap() });
    }
    // What no caller meets is checked. The probes of those that are out fail, again and again.
    let mut seen = 0;
    let probed = async {
        while seen < 4 * PEERS || pool.up_count() > 1 {
            seen += match events.next().await {
                Ok(event) => usize::from(event.is_some()),
                Err(Lagged(lost)) => lost as usize,
            };
            most = most.max(metrics.num_alive_tasks());
        }
    };
    soon(probed).await;
    assert!(most <= 4 * PEERS, "{most} tasks");
    drop(soon(callers.join_all()).await);
    until("no place is lost", || pool.usage().in_use == 0).await;
}
