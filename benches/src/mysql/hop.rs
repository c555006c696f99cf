//! The point query through HAProxy and without it, from one task and from many, each on a
//! connection that it holds. The clients' runtime has two threads.

use std::net::SocketAddr;

use evenhand_mysql::Pool;
use mysql_async::prelude::Queryable;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::query::{Protocol, ask};
use super::server::{id, url};
use crate::one_task::Run;

/// How many tasks there are where there are many.
pub const TASKS: usize = 16;

/// One way to reach two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Evenhand, with the servers as its peers.
    Evenhand,
    /// `mysql_async::Pool` over HAProxy over the servers.
    DriverProxy,
    /// Evenhand with HAProxy as its only peer.
    EvenhandProxy,
}

impl Row {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Evenhand, Self::DriverProxy, Self::EvenhandProxy];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evenhand => "evenhand, direct",
            Self::DriverProxy => "mysql_async, haproxy",
            Self::EvenhandProxy => "evenhand, haproxy",
        }
    }
}

/// Sets a row up with this number of tasks. Calls must be a multiple of `tasks`. The result is the
/// sum of the values that were read.
pub fn set_up(row: Row, tasks: usize, servers: &[SocketAddr], proxy: SocketAddr) -> Run {
    let runtime = super::two_threads();
    match row {
        Row::Evenhand | Row::EvenhandProxy => {
            let proxies = [proxy];
            let peers = if row == Row::Evenhand {
                servers
            } else {
                &proxies
            };
            let peers = peers.iter().enumerate();
            let peers = peers.map(|(n, addr)| (format!("peer{n}"), url(*addr)));
            let peers: Vec<_> = peers.collect();
            let peers = peers.iter().map(|(n, url)| (n.as_str(), url.as_str()));
            let pool = Pool::new(peers).expect("the URLs are valid");
            let conns = runtime.block_on(get(tasks, async || {
                pool.get_conn().await.expect("a peer is up")
            }));
            all(runtime, conns)
        }
        Row::DriverProxy => {
            let pool = mysql_async::Pool::new(url(proxy).as_str());
            let conns = runtime.block_on(get(tasks, async || {
                pool.get_conn().await.expect("it is up")
            }));
            all(runtime, conns)
        }
    }
}

async fn get<C>(tasks: usize, one: impl AsyncFn() -> C) -> Vec<C> {
    let mut conns = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        conns.push(one().await);
    }
    conns
}

/// One task for each connection, which does its share of the calls.
fn all<C: Queryable + Send + 'static>(runtime: Runtime, conns: Vec<C>) -> Run {
    let mut conns = Some(conns);
    Box::new(move |calls| {
        let mine = conns.take().expect("put back below");
        let share = calls / mine.len() as u64;
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for mut conn in mine {
                tasks.spawn(async move {
                    let mut sum = 0;
                    for call in 0..share {
                        sum += ask(&mut conn, Protocol::Text, id(call)).await;
                    }
                    (conn, sum)
                });
            }
            let (back, sums): (Vec<C>, Vec<u64>) = tasks.join_all().await.into_iter().unzip();
            conns = Some(back);
            sums.into_iter().sum()
        })
    })
}
