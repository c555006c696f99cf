//! One of two real servers is killed under load and started again: no checkout fails, no query on
//! a connection that was checked out after the kill fails, and the work is shared evenly before
//! and after.

use std::time::Duration;

use evenhand_mysql::evenhand::{EventKind, State};
use evenhand_mysql::mysql_async::{Conn, Opts, prelude::Queryable};
use evenhand_tests::load::{self, Load, Tally};
use evenhand_tests::{pool, quick, servers, states, told, until};

/// With this number of picks a share within 5 % of half is seven standard deviations wide.
const PICKS: usize = 20_000;
const SECONDS: Duration = Duration::from_secs(3);

// The phases.
const BEFORE: usize = 0;
const KILLING: usize = 1;
const DEAD: usize = 2;
const RETURNING: usize = 3;
const AFTER: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_costs_no_checkout_and_no_query() {
    let mut servers = servers(2).await;
    let ports = [servers[0].port(), servers[1].port()];
    let pool = pool(&servers, quick());
    let mut events = pool.subscribe();
    let mut witness = Conn::new(Opts::from_url(&servers[1].url()).unwrap())
        .await
        .unwrap();

    let load = Load::start(&pool, &load::plain());
    load.go_on(SECONDS, PICKS).await;

    load.next_phase();
    servers[0].kill().unwrap();
    // The news of the kill reaches this process before the answer to what is asked after it.
    witness.ping().await.unwrap();
    load.next_phase();
    load.go_on(SECONDS, PICKS).await;
    assert_ne!(states(&pool)[0], State::Up);

    load.next_phase();
    servers[0].restart().unwrap();
    let back = || states(&pool) == [State::Up, State::Up];
    until(
        "the restarted server is back in",
        Duration::from_secs(20),
        back,
    )
    .await;

    load.next_phase();
    load.go_on(SECONDS, PICKS).await;
    let tallies = load.stop().await;

    for (phase, tally) in tallies.iter().enumerate() {
        assert!(
            tally.no_connection.is_empty(),
            "phase {phase}: {:?}",
            tally.no_connection
        );
        // Queries that were under way as the server died may fail; they must not be run again.
        if phase != BEFORE && phase != KILLING {
            assert!(tally.failed.is_empty(), "phase {phase}: {:?}", tally.failed);
        }
        println!(
            "phase {phase}: {:?}, longest {:?}",
            tally.served, tally.longest
        );
    }
    assert_even(&tallies[BEFORE], ports);
    assert_eq!(tallies[DEAD].by(ports[0]), 0);
    assert!(tallies[DEAD].by(ports[1]) >= PICKS);
    assert_even(&tallies[AFTER], ports);
    assert!(tallies[RETURNING].total() > 0);

    // Between its ejection and its recovery the dead one was only probed, one probe at a time.
    let told = told(&mut events);
    let mut out = false;
    let mut probing = false;
    for (peer, kind) in &told {
        assert_eq!(peer, "db0", "{told:?}");
        match kind {
            EventKind::Ejected { .. } => assert!(!std::mem::replace(&mut out, true), "{told:?}"),
            EventKind::ProbeStarted => assert!(out && !std::mem::replace(&mut probing, true)),
            EventKind::ProbeFailed { .. } => assert!(std::mem::take(&mut probing)),
            EventKind::Recovered => {
                assert!(std::mem::take(&mut out) && std::mem::take(&mut probing));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!out && told.len() >= 3, "{told:?}");
    pool.disconnect().await.unwrap();
}

/// Each share is within 5 % of half.
fn assert_even(tally: &Tally, ports: [u16; 2]) {
    for port in ports {
        let share = tally.by(port) as f64 / tally.total() as f64;
        assert!(
            (share / 0.5 - 1.0).abs() <= 0.05,
            "{port}: {share} of {:?}",
            tally.served
        );
    }
}
