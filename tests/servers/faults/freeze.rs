//! One of two real servers is stopped by SIGSTOP under load, and goes on after a while: reads that
//! hang on it are answered by the other, and nobody waits for a connection longer than one
//! attempt's time limit.

use std::sync::Arc;
use std::time::Duration;

use evenhand_mysql::evenhand::{EventKind, State};
use evenhand_tests::load::{self, Load, Outcome, Query};
use evenhand_tests::{pool, quick, servers, states, told, until};

/// As `quick()` has it.
const LIMIT: Duration = Duration::from_secs(1);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(900);

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
    load.next_phase();
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
    // Those that hung on it were answered by the other, once their one try's time was up.
    let longest = tallies[0].longest.max(tallies[1].longest);
    assert!(
        (LIMIT..=2 * LIMIT + SLACK).contains(&longest),
        "{longest:?}"
    );
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
    let pool = pool(&servers, quick());
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

    println!("{:?}, longest {:?}", tallies[0].served, tallies[0].longest);
    assert!(
        tallies[0].no_connection.is_empty(),
        "{:?}",
        tallies[0].no_connection
    );
    assert!(
        tallies[0].longest <= LIMIT + SLACK,
        "{:?}",
        tallies[0].longest
    );
    let told = told(&mut events);
    let ejected = told
        .iter()
        .filter(|(_, kind)| matches!(kind, EventKind::Ejected { .. }))
        .count();
    assert_eq!(ejected, 1, "{told:?}");
    pool.disconnect().await.unwrap();
}
