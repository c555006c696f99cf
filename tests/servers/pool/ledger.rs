//! Writes on a Galera cluster of three, while nodes are killed and come back: what was
//! acknowledged is there once, what was refused is not, a write with an unknown outcome is there
//! once or not, and all nodes agree.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_testkit::{Galera, Maker};
use evenhand_tests::accounting::{self, Accounting, Fate};
use evenhand_tests::scene::{nothing_is_left, options};
use evenhand_tests::{states, until};
use tokio::runtime::Handle;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(60);
/// The number of further writes of each kind before the next event.
const ENOUGH: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_exist_exactly_once() {
    if !Maker::MariaDb.only("Galera") {
        return;
    }
    let begun = Instant::now();
    let started = tokio::task::spawn_blocking(|| Galera::start(3)).await;
    // The error says how to install what is missing.
    let mut cluster = started.unwrap().unwrap_or_else(|error| panic!("{error}"));
    accounting::prepare(&cluster.urls()[0]).await;
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let urls = cluster.urls();
    let peers = ["node0", "node1", "node2"].into_iter().zip(urls.iter());
    let peers = peers.map(|(name, url)| (name, url.as_str()));
    let pool = options().open(peers).unwrap();
    let books = Accounting::open(&pool);
    writes(&books).await;
    let mut steps = vec![begun.elapsed()];

    for victim in [0, 1] {
        cluster[victim].kill().unwrap();
        // The others hold all writes until they believe it.
        writes(&books).await;
        steps.push(begun.elapsed());
        cluster[victim].restart().unwrap();
        steps.push(begun.elapsed());
        let back = || states(&pool) == [State::Up; 3];
        until("all nodes are back in", LIMIT, back).await;
        writes(&books).await;
        steps.push(begun.elapsed());
    }

    let told = books.close().await;
    steps.push(begun.elapsed());
    let mut kept = Vec::new();
    for url in &urls {
        kept.push(accounting::kept(url).await);
    }
    let there = kept[0].agrees_with(&told);
    println!(
        "ledger, (entries, transfers): done {:?}, refused {:?}, unknown {:?}, of which there \
         {there}; steps done after {steps:.1?}",
        told.of(Fate::Done),
        told.of(Fate::Refused),
        told.of(Fate::Unknown),
    );
    assert!(kept[0] == kept[1] && kept[0] == kept[2], "the nodes differ");
    nothing_is_left("ledger", pool, tasks_before, &urls).await;
}

/// Waits until more writes of each kind are done.
async fn writes(books: &Accounting) {
    let (entries, transfers) = books.told().of(Fate::Done);
    until("writes are done", LIMIT, || {
        let done = books.told().of(Fate::Done);
        done.0 >= entries + ENOUGH && done.1 >= transfers + ENOUGH
    })
    .await;
}
