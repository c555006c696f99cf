//! Four hazards of `mysql_async::Pool`, each shown on it and then on this crate's pool, on a real
//! server. If a newer driver is free of one, its first half fails, and the guard can go.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::common::{quick, soon, until, up};
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::mysql_async::{self, DriverError};
use evenhand_mysql::{Error, Pool};
use evenhand_testkit::MariaDb;
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(50);

async fn server() -> MariaDb {
    let started = tokio::task::spawn_blocking(MariaDb::start).await;
    // The error says how to install what is missing.
    started
        .unwrap()
        .unwrap_or_else(|error| unreachable!("{error}"))
}

/// The same server behind the driver's pool and ours, with one connection each.
async fn pools() -> (MariaDb, mysql_async::Pool, Pool) {
    let server = server().await;
    let url = format!("{}?pool_min=1&pool_max=1", server.url());
    let theirs = mysql_async::Pool::from_url(&url).unwrap();
    let ours = quick().open_url(&url).unwrap();
    (server, theirs, ours)
}

#[tokio::test]
async fn cancelled_query_answers_the_next_one() {
    let (_server, theirs, ours) = pools().await;
    let slow = "SELECT 41 + SLEEP(2)";

    let mut conn = theirs.get_conn().await.unwrap();
    let cancelled = timeout(SOON, conn.query_first::<u32, _>(slow)).await;
    assert!(cancelled.is_err());
    let next: Option<u32> = conn.query_first("SELECT 42").await.unwrap();
    assert_eq!(next, Some(41), "the driver's: the rows of the one before");

    let mut conn = ours.get_conn().await.unwrap();
    let cancelled = timeout(SOON, conn.query_first::<u32, _>(slow)).await;
    assert!(cancelled.is_err());
    let next = conn.query_first::<u32, _>("SELECT 42").await.unwrap_err();
    assert!(
        matches!(
            next,
            mysql_async::Error::Driver(DriverError::ConnectionClosed)
        ),
        "{next}"
    );
    drop(conn);
    let mut conn = ours.get_conn().await.unwrap();
    assert_eq!(conn.query_first("SELECT 42").await.unwrap(), Some(42));
}

/// The server is stopped by SIGSTOP while a connection is out, and the connection returned.
#[tokio::test]
async fn frozen_server_holds_a_returned_connection() {
    let (server, theirs, ours) = pools().await;
    // Several times what this crate's pool takes to give a place back.
    let long = 6 * crate::common::LIMIT;

    let conn = theirs.get_conn().await.unwrap();
    let held = ours.get_conn().await.unwrap();
    server.freeze().unwrap();
    drop(conn);
    let next = timeout(long, theirs.get_conn()).await;
    assert!(next.is_err(), "the driver's: its only place is held");
    let in_all = theirs.metrics().connection_count.load(Ordering::Relaxed);
    assert_eq!(in_all, 1, "a connection without an owner counts");

    drop(held);
    let free = || ours.usage().in_use == 0;
    until("the place is free, though it is frozen still", free).await;
    let error = ours.get_conn().await.unwrap_err();
    assert!(
        matches!(Error::find(&error), Some(Error::Checkout(_))),
        "{error}"
    );
    until("it is out", || up(&ours) == 0).await;
    server.thaw().unwrap();
    until("it is back", || up(&ours) == 1).await;
    ours.get_conn().await.unwrap().ping().await.unwrap();
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Of two that wait, the first is woken and then dropped before it looks.
#[tokio::test]
async fn dropped_waiter_loses_the_next_wake_up() {
    let (_server, theirs, ours) = pools().await;
    let (first_woken, second_woken) = (Arc::<Woken>::default(), Arc::<Woken>::default());
    let wakers = [&first_woken, &second_woken].map(|woken| Waker::from(woken.clone()));
    let [mut first_context, mut second_context] = wakers.each_ref().map(Context::from_waker);

    {
        let conn = theirs.get_conn().await.unwrap();
        let mut first = Box::pin(theirs.get_conn());
        let mut second = pin!(theirs.get_conn());
        assert!(first.as_mut().poll(&mut first_context).is_pending());
        assert!(second.as_mut().poll(&mut second_context).is_pending());
        drop(conn);
        until("the first is woken", || {
            first_woken.0.load(Ordering::Acquire) > 0
        })
        .await;
        drop(first);
        until("the connection is idle", || {
            theirs.metrics().connections_in_pool.load(Ordering::Relaxed) == 1
        })
        .await;
        let woken = second_woken.0.load(Ordering::Acquire);
        assert_eq!(woken, 0, "the driver wakes no other waiter");
        // It gets none even if it looks, and neither does any later waiter.
        assert!(second.as_mut().poll(&mut second_context).is_pending());
        let mut third = pin!(theirs.get_conn());
        assert!(third.as_mut().poll(&mut second_context).is_pending());
        assert_eq!(second_woken.0.load(Ordering::Acquire), 0);
    }

    let conn = ours.get_conn().await.unwrap();
    let mut first = Box::pin(ours.get_conn());
    let mut second = Box::pin(ours.get_conn());
    let mut poll_first = || first.as_mut().poll(&mut first_context);
    assert!(poll_first().is_pending());
    assert!(second.as_mut().poll(&mut second_context).is_pending());
    drop(conn);
    until("the place is the first one's", || {
        let peer = &ours.usage().peers[0];
        (peer.in_use, peer.idle) == (1, 1)
    })
    .await;
    drop(first);
    until("the second is woken, and has one", || {
        let woken = second_woken.0.swap(0, Ordering::AcqRel) > 0;
        woken
            && matches!(
                second.as_mut().poll(&mut second_context),
                Poll::Ready(Ok(_))
            )
    })
    .await;
}

/// Logins are given up while the pool is disconnected, the last thing that it waits for.
#[tokio::test]
async fn abandoned_login_blocks_disconnect() {
    let (server, theirs, ours) = pools().await;
    server.freeze().unwrap();
    let mut context = Context::from_waker(Waker::noop());

    let mut login = Box::pin(theirs.get_conn());
    assert!(login.as_mut().poll(&mut context).is_pending());
    let mut disconnecting = Box::pin(theirs.clone().disconnect());
    assert!(disconnecting.as_mut().poll(&mut context).is_pending());
    // The driver's task, on this thread, has its turn, and finds that one is left.
    tokio::task::yield_now().await;
    drop(login);
    let ended = timeout(SOON, disconnecting.as_mut()).await;
    assert!(
        ended.is_err(),
        "the driver is not told that no connection is left"
    );
    // There was none: asked anew it finds so.
    soon(theirs.disconnect()).await.unwrap();

    let asking = ours.clone();
    let mut login = Box::pin(asking.get_conn());
    until("a login is under way", || {
        assert!(login.as_mut().poll(&mut context).is_pending());
        ours.usage().peers[0].in_use == 1
    })
    .await;
    let disconnecting = tokio::spawn(ours.disconnect());
    tokio::task::yield_now().await;
    drop(login);
    disconnecting.await.unwrap().unwrap();
}
