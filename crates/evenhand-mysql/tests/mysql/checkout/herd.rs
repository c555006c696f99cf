//! Many callers at once meet a peer that accepts a limited number of logins a second.

use std::time::Duration;

use crate::common::{LIMIT, fakes, quick, up};
use evenhand_mysql::PoolOptions;
use evenhand_mysql::mysql_async::{self, prelude::Queryable};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// A way to the peer that opens once in ten milliseconds.
async fn narrow_gate(target: std::net::SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut opens = interval(Duration::from_millis(10));
        opens.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            opens.tick().await;
            let (mut from, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(target).await.unwrap();
                let _ = copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    port
}

/// A hundred logins at ten milliseconds each would all take too long if they were begun at once;
/// the peer would be ejected, its connections closed, and the herd would come again.
#[tokio::test]
async fn herd_does_not_eject_a_healthy_peer() {
    let [fake] = fakes::<1>().await;
    let port = narrow_gate(fake.addr()).await;
    // A login may take less than a herd's hundred would together. What follows it is not the matter.
    let options: PoolOptions = quick()
        .connect_timeout(2 * LIMIT)
        .try_timeout(20 * LIMIT)
        .checkout_timeout(20 * LIMIT)
        .work_timeout(Duration::from_secs(60));
    let url = format!("mysql://root@127.0.0.1:{port}/test");
    let pool = options.open([("a", url.as_str())]).unwrap();
    let mut events = pool.subscribe();
    for hold in [Duration::from_millis(5), LIMIT / 2] {
        let hold = format!("SELECT SLEEP({})", hold.as_secs_f64());
        let mut callers = JoinSet::new();
        for _ in 0..300 {
            let (pool, hold) = (pool.clone(), hold.clone());
            callers.spawn(async move {
                let work = async |mut conn: evenhand_mysql::PeerConn| {
                    conn.query_drop(hold.as_str()).await?;
                    conn.query_first::<u16, _>("SELECT @@port").await
                };
                let outcome: mysql_async::Result<_> = pool.run_idempotent(work).await;
                outcome.unwrap()
            });
        }
        callers.join_all().await;
    }
    assert_eq!(up(&pool), 1);
    assert_eq!(events.try_next().unwrap(), None, "nothing happened to it");
}
