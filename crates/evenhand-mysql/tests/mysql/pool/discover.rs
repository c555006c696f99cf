//! Peers that come from service discovery.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::setup::conn_to;
use crate::common::{fakes, pool, quick, until};
use evenhand_mysql::Pool;
use evenhand_mysql::evenhand::discover::Change;
use evenhand_mysql::mysql_async::prelude::Queryable;
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Found = Result<Change<String, &'static str>, String>;

/// A source of changes, and where they are put into it.
fn source() -> (UnboundedSender<Found>, impl Stream<Item = Found> + Send) {
    let (sender, receiver) = unbounded_channel();
    let next = |mut receiver: tokio::sync::mpsc::UnboundedReceiver<Found>| async {
        let found = receiver.recv().await;
        found.map(|found| (found, receiver))
    };
    (sender, stream::unfold(receiver, next))
}

fn names(pool: &Pool) -> Vec<String> {
    let statuses = pool.statuses();
    statuses.iter().map(|s| s.peer.to_string()).collect()
}

fn insert(name: &str, url: &str) -> Found {
    let url = format!("{url}?pool_min=0");
    Ok(Change::Insert(name.to_owned(), url.leak()))
}

fn remove(name: &str) -> Found {
    Ok(Change::Remove(name.to_owned()))
}

#[tokio::test]
async fn peers_follow_a_discovery() {
    let fakes: [_; 3] = fakes().await;
    // None is closed but for what happens here.
    let options = quick().idle_timeout(Duration::from_secs(3600));
    let pool = pool(&fakes[..1], options);
    let mut held = pool.get_conn().await.unwrap();
    drop(pool.get_conn().await.unwrap());
    until("one is idle", || pool.usage().peers[0].idle == 1).await;
    let (changes, discover) = source();
    let _following = pool.follow(discover);

    changes.send(insert("b", &fakes[1].url())).unwrap();
    until("b is there", || names(&pool) == ["a", "b"]).await;
    let in_use = conn_to(&pool, "b").await;
    drop(conn_to(&pool, "b").await);
    until("one is idle", || pool.usage().peers[1].idle == 1).await;

    changes.send(remove("a")).unwrap();
    until("a is gone", || names(&pool) == ["b"]).await;
    until("its idle one is closed", || fakes[0].connections() == 1).await;
    held.query_drop("DO 1").await.unwrap();
    drop(held);
    until("so is the one in use, once it is back", || {
        fakes[0].connections() == 0
    })
    .await;

    // Another address under the same name.
    changes.send(insert("b", &fakes[2].url())).unwrap();
    until("b has moved", || fakes[1].connections() == 1).await;
    drop(in_use);
    until("nothing is left there", || fakes[1].connections() == 0).await;
    assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
    assert_eq!(fakes[2].connections(), 1);
}

#[tokio::test]
async fn same_options_again_keep_the_connections() {
    let [fake] = fakes::<1>().await;
    let (changes, discover) = source();
    let pool = pool(std::slice::from_ref(&fake), quick());
    let _following = pool.follow(discover);
    drop(pool.get_conn().await.unwrap());
    changes.send(insert("a", &fake.url())).unwrap();
    changes.send(insert("b", &fake.url())).unwrap();
    until("both were applied", || names(&pool) == ["a", "b"]).await;
    assert_eq!(pool.usage().peers[0].opened, 1);
}

#[tokio::test(start_paused = true)]
async fn options_that_are_not_valid_change_nothing() {
    let pool = quick().open([("a", "mysql://h/d")]).unwrap();
    let (changes, discover) = source();
    let _following = pool.follow(discover);
    changes.send(insert("a", "postgres://u:hunter2@h")).unwrap();
    changes.send(Err("no answer".to_owned())).unwrap();
    changes.send(insert("b", "mysql://i/d")).unwrap();
    until("the next is applied", || names(&pool) == ["a", "b"]).await;
    assert_eq!(pool.usage().peers[0].limit, 100);
}

#[tokio::test]
async fn following_ends_with_the_pool() {
    let pool = quick().open([("a", "mysql://h/d")]).unwrap();
    let ended = pool.clone();
    let (changes, discover) = source();
    let following = pool.follow(discover);
    ended.disconnect().await.unwrap();
    changes.send(insert("b", "mysql://i/d")).unwrap();
    until("it has ended", || following.is_finished()).await;
    assert_eq!(names(&pool), ["a"], "a pool that was disconnected stays so");

    // A source that says nothing keeps no pool.
    let silent = quick().open([("a", "mysql://h/d")]).unwrap();
    let (_changes, discover) = source();
    let held = Arc::new(Mutex::new(()));
    let following = silent.follow(stream_with(discover, held.clone()));
    tokio::task::yield_now().await;
    drop(silent);
    until("it has ended, too", || following.is_finished()).await;
    assert_eq!(Arc::strong_count(&held), 1, "its source was dropped");
}

/// The stream, which holds something.
fn stream_with(
    stream: impl Stream<Item = Found> + Send,
    held: Arc<Mutex<()>>,
) -> impl Stream<Item = Found> + Send {
    use futures_util::StreamExt;
    stream.map(move |found| {
        let _ = &held;
        found
    })
}
