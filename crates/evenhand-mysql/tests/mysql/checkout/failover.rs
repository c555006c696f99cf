//! Every checkout ends by its deadline and finds a peer that works, whatever the others do.

use std::time::Duration;

use crate::common::setup::{agreed, code};
use crate::common::{LIMIT, err, fakes, pool, quick, soon, states, until, up};
use evenhand_mysql::evenhand::{EventKind, State};
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Error, Pool};
use evenhand_testkit::Fault;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn failing_peer_costs_no_checkout() {
    let faults = [
        Fault::Refuse,
        Fault::Silent,
        Fault::StallInHandshake,
        Fault::StallInQuery,
        Fault::CutMidPacket,
        Fault::ErrAsGreeting(err(1040, "Too many connections")),
        Fault::ErrAsGreeting(err(1129, "Host is blocked")),
        Fault::ErrAtLogin(err(1040, "Too many connections")),
        Fault::ErrAtLogin(err(1045, "Access denied")),
        Fault::ErrAtLogin(err(1049, "Unknown database")),
        Fault::ErrAtLogin(err(1053, "Server shutdown in progress")),
    ];
    for fault in faults {
        let fakes: [_; 2] = fakes().await;
        // Nothing but the limit of an attempt ends one that hangs.
        let pool = pool(&fakes, quick().checkout_timeout(HOUR));
        fakes[0].set_fault(fault.clone());
        // The driver's settings query at login is answered; what stalls or is cut comes later.
        let login_works = matches!(fault, Fault::StallInQuery | Fault::CutMidPacket);
        // Held, as only a login shows that another was refused without need.
        let mut held = Vec::new();
        for _ in 0..20 {
            let conn = soon(pool.get_conn()).await.unwrap();
            assert!(login_works || conn.peer() == "b", "{fault:?}");
            held.push(conn);
        }
        let full = matches!(fault, Fault::ErrAsGreeting(ref e) | Fault::ErrAtLogin(ref e) if e.code == 1040);
        if full {
            assert_eq!(states(&pool)[0], State::Up, "{fault:?}");
        } else if !login_works {
            assert_eq!(states(&pool)[0], State::Ejected, "{fault:?}");
        }
        assert_eq!(states(&pool)[1], State::Up, "{fault:?}");
    }
}

#[tokio::test]
async fn silent_peers_end_at_the_deadline_and_are_named() {
    let fakes: [_; 2] = fakes().await;
    // No probe is due, or under way, when the time is up.
    let pool = pool(
        &fakes,
        quick().max_recheck_interval(Duration::from_secs(60)),
    );
    fakes.iter().for_each(|fake| fake.set_fault(Fault::Silent));
    let start = Instant::now();
    let error = soon(pool.get_conn()).await.unwrap_err();
    let took = start.elapsed();
    assert!(took >= 3 * LIMIT, "{took:?}");
    let text = error.to_string();
    assert!(text.contains("a: no connection in time"), "{text}");
    assert!(text.contains("b: no connection in time"), "{text}");
    assert!(text.contains("the next peer is due in"), "{text}");
}

#[tokio::test]
async fn all_down_waits_for_the_first_recovery() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick().checkout_timeout(HOUR));
    fakes.iter().for_each(|fake| fake.kill());
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.get_conn().await.map(|conn| conn.peer().to_owned()) })
        })
        .collect();
    until("both are out", || up(&pool) == 0).await;
    fakes[1].restart().await.unwrap();
    for task in waiting {
        assert_eq!(task.await.unwrap().unwrap(), "b");
    }
}

#[tokio::test]
async fn wrong_password_ejects_no_peer() {
    let fakes: [_; 3] = fakes().await;
    let pool = pool(&fakes, quick());
    let denied = || Fault::ErrAtLogin(err(1045, "Access denied for user 'root'"));
    fakes.iter().for_each(|fake| fake.set_fault(denied()));
    let error = pool.get_conn().await.unwrap_err();
    assert_eq!(code(&error), Some(1045), "{error}");
    assert!(agreed(&error), "{error}");
    for part in ["Access denied", "(peer `", "c: login refused"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert_eq!(up(&pool), 3);
}

#[tokio::test]
async fn ejected_peer_sees_only_its_probes() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick());
    fakes[0].set_fault(Fault::ErrAtLogin(err(1053, "Server shutdown in progress")));
    while up(&pool) == 2 {
        drop(pool.get_conn().await.unwrap());
    }
    let mut events = pool.subscribe();
    let before = fakes[0].accepted();
    let mut probes = 0;
    while probes < 3 {
        for _ in 0..20 {
            assert_eq!(pool.get_conn().await.unwrap().peer(), "b");
        }
        while let Some(event) = events.try_next().unwrap() {
            probes += u64::from(matches!(event.kind, EventKind::ProbeFailed { .. }));
        }
    }
    let seen = fakes[0].accepted() - before;
    assert!(
        (probes..=probes + 1).contains(&seen),
        "{seen} connections for {probes} probes"
    );

    fakes[0].clear_fault();
    until("it is back", || up(&pool) == 2).await;
}

#[tokio::test]
async fn ejection_closes_idle_connections_only() {
    let fakes: [_; 1] = fakes().await;
    let pool = pool(&fakes, quick().checkout_timeout(LIMIT));
    let mut used = pool.get_conn().await.unwrap();
    let idle = [
        pool.get_conn().await.unwrap(),
        pool.get_conn().await.unwrap(),
    ];
    drop(idle);
    fakes[0].set_fault(Fault::ErrAtLogin(err(1053, "Server shutdown in progress")));
    let mut held = Vec::new();
    while up(&pool) == 1 {
        // Takes the idle ones out, too, until one has to be opened.
        held.extend(pool.get_conn().await);
    }
    drop(held);
    until("only the used one is left", || fakes[0].connections() == 1).await;
    let one: Option<u32> = used.query_first("SELECT 1").await.unwrap();
    assert_eq!(one, Some(1));
}

/// Nothing else would end its login soon.
#[tokio::test]
async fn ejection_ends_a_pending_login() {
    let fakes: [_; 2] = fakes().await;
    let pool = pool(&fakes, quick().connect_timeout(HOUR).checkout_timeout(HOUR));
    pool.peers().eject("b", HOUR).unwrap();
    fakes[0].freeze();
    let asking = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get_conn().await }
    });
    until("it is at a", || pool.statuses()[0].in_flight > 0).await;
    pool.peers().restore("b").unwrap();
    pool.peers().eject("a", HOUR).unwrap();
    let asked = soon(asking).await;
    assert_eq!(asked.unwrap().unwrap().peer(), "b");
}

#[tokio::test]
async fn full_peer_passes_the_checkout_on() {
    let fakes: [_; 2] = fakes().await;
    let pool = crate::common::pool_with("pool_min=1&pool_max=2", &fakes, quick());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.get_conn().await.unwrap());
    }
    let error = pool.get_conn().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("4 connections in use (a: 2 of 2, b: 2 of 2)"),
        "{error}"
    );
    assert_eq!(up(&pool), 2, "a shortage of this client ejects no peer");
    held.pop();
    drop(pool.get_conn().await.unwrap());
}

#[tokio::test]
async fn frozen_peer_leaks_no_permit() {
    let fakes: [_; 1] = fakes().await;
    let pool = crate::common::pool_with("pool_min=1&pool_max=3", &fakes, quick());
    for _ in 0..2 {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(pool.get_conn().await.unwrap());
        }
        fakes[0].freeze();
        // Given back to a peer that does not answer: the clean-up must end all the same.
        drop(held);
        assert!(matches!(
            Error::find(&pool.get_conn().await.unwrap_err()),
            Some(Error::Checkout(_))
        ));
        let given_back = || pool.statuses()[0].in_flight == 0;
        until("all places are free, though it is frozen still", given_back).await;
        fakes[0].thaw();
        until("it is back", || up(&pool) == 1).await;
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(pool.get_conn().await.unwrap());
    }
}

/// Dropped after each number of polls there is, a checkout leaves nothing behind.
#[tokio::test]
async fn dropped_checkout_leaks_nothing() {
    let fakes: [_; 1] = fakes().await;
    let pool = crate::common::pool_with("pool_min=1&pool_max=1", &fakes, quick());
    for polls in 0..12 {
        let mut left = polls;
        let mut checkout = Box::pin(pool.get_conn());
        let dropped = std::future::poll_fn(|cx| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            checkout.as_mut().poll(cx).map(Some)
        })
        .await;
        drop(checkout);
        drop(dropped);
        let mut conn = pool.get_conn().await.unwrap();
        assert_eq!(
            conn.query_first("SELECT 1").await.unwrap(),
            Some(1),
            "{polls} polls"
        );
        assert_eq!(states(&pool), [State::Up]);
    }
}

#[tokio::test]
async fn invalid_peer_is_named() {
    let none: [(&str, &str); 0] = [];
    assert!(matches!(
        Error::find(&Pool::new(none).unwrap_err()),
        Some(Error::NoPeers)
    ));
    let twice = Pool::new([("a", "mysql://h"), ("a", "mysql://i")]).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "Other error: two peers are named `a`; names are unique"
    );
    let bad = Pool::new([("a", "mysql://h"), ("b", "postgres://u:hunter2@h")]).unwrap_err();
    assert!(
        bad.to_string()
            .starts_with("Other error: invalid connection options for peer `b`: "),
        "{bad}"
    );
    assert!(!format!("{bad} {bad:?}").contains("hunter2"));
}

#[tokio::test]
async fn passwords_stay_hidden() {
    let fake = evenhand_testkit::FakeMySql::builder()
        .account("app", "hunter2")
        .start()
        .await
        .unwrap();
    let url = format!("mysql://app:hunter2@127.0.0.1:{}/test", fake.port());
    let pool = quick().open([("a", url.as_str())]).unwrap();
    let conn = pool.get_conn().await.unwrap();
    let mut shown = format!("{pool:?} {conn:?}");
    fake.set_fault(Fault::ErrAtLogin(err(1045, "Access denied")));
    let held: Vec<_> = [pool.get_conn().await, pool.get_conn().await]
        .into_iter()
        .collect();
    let error = held.into_iter().find_map(Result::err).unwrap();
    assert_eq!(code(&error), Some(1045), "{error}");
    shown.push_str(&format!("{error} {error:?}"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
