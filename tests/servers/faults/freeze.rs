//! One of two real servers is stopped by SIGSTOP under load, and goes on after a while: reads that
//! hang on it are answered by the other, and no caller waits for a connection longer than one
//! attempt's time limit.

use std::sync::Arc;
use std::time::Duration;

use evenhand_mysql::evenhand::{EventKind, State};
use evenhand_tests::load::{self, Load, Outcome, Query};
use evenhand_tests::{pool, quick, servers, states, told, until};

/// As `quick()` has it.
const LIMIT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_server_costs_no_idempotent_read() {
    let servers = servers(2).await;
    let frozen = servers[0].port();
    let pool = pool(&servers, quick());
    let mut events = pool.subscribe();

    let load = Load::start(&pool, &load::idempotent());
    load.go_on(Duration::from_secs(1), 1_000).await;
    load.next_phase();
    servers[0].freeze().unwrap();
    let out = || states(&pool)[0] != State::Up;
    until("the frozen server is out", Duration::from_secs(10), out).await;
    // Those that hang on it are answered by the other, once their one try's time is up.
    load.settle().await;
    load.go_on(Duration::from_secs(3), 1_000).await;
    load.next_phase();
    servers[0].thaw().unwrap();
    let back = || states(&pool) == [State::Up, State::Up];
    until(
        "the thawed server is back in",
        Duration::from_secs(20),
        back,
    )
    .await;
    load.next_phase();
    load.go_on(Duration::from_secs(1), 1_000).await;
    let tallies = load.stop().await;

    for (phase, tally) in tallies.iter().enumerate() {
        println!(
            "phase {phase}: {:?}, longest {:?}",
            tally.served, tally.longest
        );
        assert!(
            tally.no_connection.is_empty() && tally.failed.is_empty(),
            "{phase}: {tally:?}"
        );
    }
    let longest = tallies[0].longest.max(tallies[1].longest);
    assert!(longest >= LIMIT, "none hung on it: {longest:?}");
    assert_eq!(
        tallies[2].by(frozen),
        0,
        "what was started after the ejection is not its to answer"
    );
    assert!(tallies[4].by(frozen) > 0);

    let told = told(&mut events);
    let count = |wanted: fn(&EventKind) -> bool| told.iter().filter(|(_, k)| wanted(k)).count();
    assert!(told.iter().all(|(peer, _)| peer == "db0"), "{told:?}");
    assert_eq!(
        count(|kind| matches!(kind, EventKind::Ejected { .. })),
        1,
        "{told:?}"
    );
    assert_eq!(
        count(|kind| matches!(kind, EventKind::Recovered)),
        1,
        "{told:?}"
    );
    pool.disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkout_waits_at_most_one_attempt() {
    let servers = servers(2).await;
    // Nothing but the limit of an attempt, or the ejection, ends a checkout's wait.
    let pool = pool(
        &servers,
        quick().checkout_timeout(Duration::from_secs(3600)),
    );
    let mut events = pool.subscribe();
    // Checked out and given back at once: the frozen server's connections run out quickly.
    let checkout: Query = Arc::new(|pool| {
        Box::pin(async move {
            match pool.get_conn().await {
                Ok(conn) => Outcome::Port(conn.opts().tcp_port()),
                Err(error) => Outcome::NoConnection(error.to_string()),
            }
        })
    });

    let load = Load::start(&pool, &checkout);
    load.go_on(Duration::from_secs(1), 1_000).await;
    servers[0].freeze().unwrap();
    let out = || states(&pool)[0] != State::Up;
    until("the frozen server is out", Duration::from_secs(10), out).await;
    load.settle().await;
    load.go_on(Duration::from_secs(3), 1_000).await;
    servers[0].thaw().unwrap();
    let back = || states(&pool) == [State::Up, State::Up];
    until(
        "the thawed server is back in",
        Duration::from_secs(20),
        back,
    )
    .await;
    let tallies = load.stop().await;

    for tally in &tallies {
        println!("{:?}, longest {:?}", tally.served, tally.longest);
        let failed = &tally.no_connection;
        assert!(failed.is_empty(), "{failed:?}");
    }
    let told = told(&mut events);
    let ejected = told
        .iter()
        .filter(|(_, kind)| matches!(kind, EventKind::Ejected { .. }))
        .count();
    assert_eq!(ejected, 1, "{told:?}");
    pool.disconnect().await.unwrap();
}
