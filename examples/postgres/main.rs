//! Postgres over three servers, through tokio-postgres and deadpool, of which one is killed and one
//! hangs while it runs.
//!
//! ```text
//! cargo run --example postgres
//! ```
//!
//! Each peer is a pool of deadpool's. The balancer needs to be told three things: how a query is run
//! on one of them ([`run`]), what each of Postgres's errors says of the server ([`judge`]), and which
//! queries may be run twice ([`Query::read`]).

mod classify;
mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::tokio_postgres::{self, Config, NoTls};
use deadpool_postgres::{Manager, Object, Pool, Runtime};
use evenhand::{Attempt, BalanceLayer, Cloned, Eject, Peer, Peers, Probe, State};
use tokio::task::JoinSet;
use tower::{Service, ServiceExt, service_fn};

use classify::{Failure, judge};
use server::{Mood, Server};

/// A peer: how to reach a server, and the connections to it.
struct Database {
    config: Config,
    pool: Pool,
}

impl Database {
    fn new(config: Config) -> Result<Self, Box<dyn Error>> {
        let pool = Pool::builder(Manager::new(config.clone(), NoTls))
            .max_size(16)
            // So long a query waits for a connection before it goes to another peer.
            .wait_timeout(Some(Duration::from_millis(100)))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { config, pool })
    }
}

#[derive(Clone, Copy)]
struct Query {
    sql: &'static str,
    id: i32,
    /// Whether it only reads, so that it may be run twice.
    read: bool,
}

const fn state_of(order: i32) -> Query {
    Query {
        sql: "SELECT state FROM orders WHERE id = $1",
        id: order,
        read: true,
    }
}

/// The name of the peer that answered, and its answer.
type Answer = (Arc<str>, String);

/// A connection in use. If its query is cut off by a time limit, it is closed: deadpool would hand it
/// to the next caller, whose query would wait behind this one.
struct InUse(Option<Object>);

impl Drop for InUse {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// The connector: runs a query on the peer that was picked.
async fn run(attempt: Attempt<Database, Query>) -> Result<Answer, Failure> {
    let Query { sql, id, .. } = attempt.request;
    let connection = attempt.peer.pool.get().await;
    let mut in_use = InUse(None);
    let client = in_use.0.insert(connection.map_err(Failure::Connection)?);
    let answer = match client.prepare_cached(sql).await {
        Ok(statement) => client.query_one(&statement, &[&id]).await,
        Err(error) => Err(error),
    };
    // It was not cut off, so the connection goes back.
    drop(in_use.0.take());
    let text = answer.and_then(|row| row.try_get(0));
    Ok((attempt.peer.shared_name(), text.map_err(Failure::Query)?))
}

/// The probe: a login of its own, off the callers' path.
async fn log_in(peer: Peer<Database>) -> Result<(), tokio_postgres::Error> {
    peer.config.connect(NoTls).await.map(drop)
}

/// The whole stack.
fn balance(
    peers: Peers<Database>,
) -> impl Service<Query, Response = Answer, Error = evenhand::Error<Failure>, Future: Send>
+ Clone
+ Send
+ 'static {
    BalanceLayer::new(peers)
        .classify(judge)
        .replay(Cloned::idempotent_if(|query: &Query| query.read))
        // A peer that does not answer within 250 ms has failed. Five times in a row eject it.
        .attempt_timeout(Duration::from_millis(250))
        .deadline(Duration::from_secs(5))
        .eject(Eject::on_first().recheck_every(Duration::from_millis(200)))
        .probe(Probe::new(service_fn(log_in), Duration::from_millis(250)))
        .service(service_fn(run))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut servers = [Server::start()?, Server::start()?, Server::start()?];
    let peers = Peers::new([
        ("a", Database::new(servers[0].config())?),
        ("b", Database::new(servers[1].config())?),
        ("c", Database::new(servers[2].config())?),
    ])?;
    let balance = balance(peers.clone());
    let mut count = (0, 0);

    println!("three of three serve:");
    ask(&balance, &mut count).await?;

    println!("a is killed and b hangs:");
    servers[0].kill();
    servers[1].set(Mood::Hangs);
    ask(&balance, &mut count).await?;

    println!("b is back and c is killed:");
    servers[1].set(Mood::Well);
    let mut events = peers.subscribe();
    while peers.statuses()[1].state != State::Up {
        tokio::time::timeout(Duration::from_secs(30), events.next()).await??;
    }
    servers[2].kill();
    ask(&balance, &mut count).await?;

    let (served, failed) = count;
    println!("{served} served, {failed} failed");
    match failed {
        0 => Ok(()),
        _ => Err("a query failed".into()),
    }
}

/// Six callers at a time, each with 50 queries.
async fn ask<S>(balance: &S, (served, failed): &mut (u32, u32)) -> Result<(), Box<dyn Error>>
where
    S: Service<Query, Response = Answer, Error: fmt::Display + Send, Future: Send>,
    S: Clone + Send + 'static,
{
    let mut queries = JoinSet::new();
    for _caller in 0..6 {
        let balance = balance.clone();
        queries.spawn(async move {
            let mut outcomes = Vec::new();
            for id in 0..50 {
                outcomes.push(balance.clone().oneshot(state_of(id)).await);
            }
            outcomes
        });
    }
    let mut counts = BTreeMap::<Arc<str>, u32>::new();
    for outcome in queries.join_all().await.into_iter().flatten() {
        match outcome {
            Ok((peer, state)) if state == "shipped" => *counts.entry(peer).or_default() += 1,
            Ok((peer, state)) => return Err(format!("{peer} answered {state:?}").into()),
            Err(error) => {
                println!("  {error}");
                *failed += 1;
            }
        }
    }
    *served += counts.values().sum::<u32>();
    println!("  {counts:?}");
    Ok(())
}
