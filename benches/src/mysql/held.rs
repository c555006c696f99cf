//! What a held guard adds to a query: the bare driver, a connection of the driver's pool and one of
//! Evenhand's are asked in turn, query by query.
//!
//! What a query over loopback takes depends most of all on where the system happens to run the
//! server's thread of that connection, and it leaves it there for a while. So rounds of one
//! connection each would compare places, not pools. Here the queries that are compared follow each
//! other at once, in a new random order each time, and every so often all connections are new.

use std::time::Instant;

use evenhand_mysql::Pool;
use mysql_async::Conn;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::query::{Protocol, ask};
use super::server::id;
use crate::rounds::median;

/// The rows, in the order of [`Set`].
pub const NAMES: [&str; 3] = ["bare", "mysql_async, held", "evenhand, held"];

/// The median time of a query in nanoseconds, for each row, over one set of connections.
pub type Set = [f64; 3];

/// How many sets of fresh connections to the server at `url`, and how many queries on each
/// connection.
pub fn run(url: &str, protocol: Protocol, sets: usize, queries: u64) -> Vec<Set> {
    let runtime = super::one_thread();
    let mut random = SmallRng::seed_from_u64(sets as u64);
    let mut one_set = || runtime.block_on(set(url, protocol, queries, &mut random));
    (0..sets).map(|_| one_set()).collect()
}

async fn set(url: &str, protocol: Protocol, queries: u64, random: &mut SmallRng) -> Set {
    let mut order = [0, 1, 2];
    let single = format!("{url}&pool_min=1");
    let driver = mysql_async::Pool::new(single.as_str());
    let evenhand = Pool::new([("db0", single.as_str())]).expect("the URL is valid");
    // Whichever is opened first may get the better place.
    order.shuffle(random);
    let (mut bare, mut of_driver, mut of_evenhand) = (None, None, None);
    for row in order {
        match row {
            0 => bare = Some(Conn::from_url(url).await.expect("it is up")),
            1 => of_driver = Some(driver.get_conn().await.expect("it is up")),
            _ => of_evenhand = Some(evenhand.get_conn().await.expect("it is up")),
        }
    }
    let (Some(bare), Some(of_driver), Some(of_evenhand)) =
        (&mut bare, &mut of_driver, &mut of_evenhand)
    else {
        unreachable!("the order has each row once")
    };
    let mut times = [const { Vec::new() }; 3];
    // The first tenth is for the caches, and for the statement to be prepared.
    for call in 0..queries + queries / 10 {
        order.shuffle(random);
        for row in order {
            let begun = Instant::now();
            let value = match row {
                0 => ask(bare, protocol, id(call)).await,
                1 => ask(of_driver, protocol, id(call)).await,
                _ => ask(of_evenhand, protocol, id(call)).await,
            };
            let took = begun.elapsed();
            assert_eq!(value, super::server::value(id(call)));
            if call >= queries / 10 {
                times[row].push(took.as_nanos() as f64);
            }
        }
    }
    times.map(median)
}
