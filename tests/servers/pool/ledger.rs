//! Writes on a Galera cluster of three, or a group of three MySQL servers, while nodes are killed
//! and come back: what was acknowledged is there once, what was refused is not, a write with an
//! unknown outcome is there once or not, and all nodes agree.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_testkit::{Galera, Group, Maker};
use evenhand_tests::accounting::{self, Accounting, Fate};
use evenhand_tests::scene::{nothing_is_left, options};
use evenhand_tests::{states, until};
use tokio::runtime::Handle;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(60);
/// A member that joins, or is to be the primary, catches up with those who write meanwhile only if
/// they do not write all the time.
const PAUSE: Duration = Duration::from_millis(50);
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
    let books = Accounting::open(&pool, Duration::ZERO);
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

    agree(books, &urls).await;
    steps.push(begun.elapsed());
    println!("steps done after {steps:.1?}");
    nothing_is_left("ledger", pool, tasks_before, &urls).await;
}

/// As on Galera; but one member takes the writes, and it changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_exist_exactly_once_in_a_group() {
    if !Maker::MySql.is_here("Group Replication") {
        return;
    }
    let started = tokio::task::spawn_blocking(|| Group::start(3)).await;
    let mut group = started.unwrap().unwrap_or_else(|error| panic!("{error}"));
    accounting::prepare(&group.urls()[0]).await;
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let urls = group.urls();
    let peers = ["member0", "member1", "member2"].into_iter().zip(&urls);
    let peers = peers.map(|(name, url)| (name, url.as_str()));
    let pool = options().writable(true).open(peers).unwrap();
    let (begun, mut steps) = (Instant::now(), Vec::new());
    let books = Accounting::open(&pool, PAUSE);
    writes(&books).await;
    steps.push(begun.elapsed());

    group.switch_primary(1).unwrap();
    writes(&books).await;
    steps.push(begun.elapsed());

    group[1].kill().unwrap();
    let next = group.wait_for_another_primary(1).unwrap();
    writes(&books).await;
    steps.push(begun.elapsed());
    group.restart(1).unwrap();
    steps.push(begun.elapsed());

    group[next].freeze().unwrap();
    let last = group.wait_for_another_primary(next).unwrap();
    writes(&books).await;
    steps.push(begun.elapsed());
    group[next].thaw().unwrap();
    group.wait_for_size(3).unwrap();
    writes(&books).await;
    steps.push(begun.elapsed());

    group[last].leave().unwrap();
    group.wait_for_another_primary(last).unwrap();
    writes(&books).await;
    steps.push(begun.elapsed());
    group[last].join().unwrap();
    agree(books, &urls).await;
    steps.push(begun.elapsed());
    println!("steps done after {steps:.1?}");
    nothing_is_left("ledger of a group", pool, tasks_before, &urls).await;
}

/// Ends the writes, and holds what each server has against what the writers were told.
async fn agree(books: Accounting, urls: &[String]) {
    let told = books.close().await;
    let mut kept = Vec::new();
    for url in urls {
        kept.push(accounting::kept(url).await);
    }
    let there = kept[0].agrees_with(&told);
    println!(
        "ledger, (entries, transfers): done {:?}, refused {:?}, unknown {:?}, of which there {there}",
        told.of(Fate::Done),
        told.of(Fate::Refused),
        told.of(Fate::Unknown),
    );
    assert!(kept[0] == kept[1] && kept[0] == kept[2], "the nodes differ");
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
