//! What a peer must do to be in, and when it is asked.

use std::pin::pin;
use std::time::Duration;

use super::writable::{SETTINGS, set_read_only};
use crate::common::{LIMIT, err, fakes, pool, quick, soon, states, until, up};
use evenhand_mysql::evenhand::{EventKind, Events, State, Verdict};
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Classifier, HealthCheck, Pool, PoolOptions, ProbeKind};
use evenhand_testkit::{FakeMySql, Fault};
use tokio::time::Instant;

/// So often are peers that are up checked in these tests.
const EVERY: Duration = Duration::from_millis(20);

const STATE: &str = "SHOW GLOBAL STATUS LIKE 'wsrep_local_state'";

pub(super) fn often() -> PoolOptions {
    quick().health_check(checks_often())
}

fn checks_often() -> HealthCheck {
    HealthCheck::new().active(EVERY, 1)
}

fn query(sql: &str, expect: &str) -> ProbeKind {
    ProbeKind::Query {
        sql: sql.into(),
        expect: expect.into(),
    }
}

fn set_state(fake: &FakeMySql, state: &str) {
    let row = [["wsrep_local_state", state]];
    fake.answer(STATE, ["Variable_name", "Value"], row);
}

/// The next ejection's reason.
pub(super) async fn ejected(events: &mut Events) -> &'static str {
    let ejection = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if let EventKind::Ejected { reason, .. } = event.kind {
                return reason.unwrap();
            }
        }
    };
    soon(ejection).await
}

/// Waits until `n` more checks have passed.
pub(super) async fn checks(fake: &FakeMySql, n: u64) {
    let before = fake.accepted();
    until("it was checked", || fake.accepted() >= before + n).await;
}

pub(super) async fn start(pool: &Pool) {
    drop(pool.get_conn().await.unwrap());
}

#[tokio::test]
async fn each_probe_sends_its_statements() {
    let query = query("SELECT in_service FROM health", "1");
    let with = |check: HealthCheck| quick().health_check(check);
    let probe = |kind| checks_often().probe(kind);
    let cases = [
        (with(probe(ProbeKind::Ping)), vec![]),
        (often(), vec!["DO 1"]),
        (often().writable(true), vec!["DO 1", SETTINGS]),
        (with(probe(ProbeKind::Ready)).writable(true), vec!["DO 1"]),
        (
            with(probe(query).synced(true)),
            vec!["SELECT in_service FROM health", STATE],
        ),
    ];
    for (options, asked) in cases {
        let fakes: [_; 1] = fakes().await;
        set_read_only(&fakes[0], "OFF", "OFF");
        set_state(&fakes[0], "4");
        fakes[0].answer("SELECT in_service FROM health", ["in_service"], [["1"]]);
        let pool = pool(&fakes, options);
        start(&pool).await;
        checks(&fakes[0], 3).await;
        let statements = fakes[0].statements();
        match asked.len() {
            0 => assert!(statements.is_empty(), "{statements:?}"),
            n => assert!(statements.chunks_exact(n).all(|chunk| chunk == asked)),
        }
        assert_eq!(up(&pool), 1);
    }
}

#[tokio::test]
async fn galera_refusal_fails_all_probes_but_ping() {
    let [fake] = fakes::<1>().await;
    let fakes = [fake];
    fakes[0].set_fault(Fault::NotPrimary);
    let ping = pool(
        &fakes,
        quick().health_check(checks_often().probe(ProbeKind::Ping)),
    );
    start(&ping).await;
    checks(&fakes[0], 3).await;
    assert_eq!(up(&ping), 1);
    let ready = pool(&fakes, often());
    let mut events = ready.subscribe();
    start(&ready).await;
    assert_eq!(ejected(&mut events).await, "Galera node not ready");
}

#[tokio::test]
async fn custom_query_must_return_the_expected_value() {
    let [fake] = fakes::<1>().await;
    let fakes = [fake];
    let sql = "SELECT in_service FROM health";
    let other = "the probe's query gave another value";
    let refused = "the probe's statement was refused";
    let pool = pool(
        &fakes,
        quick().health_check(checks_often().probe(query(sql, "yes"))),
    );
    let mut events = pool.subscribe();
    fakes[0].answer(sql, ["in_service"], [["yes"]]);
    start(&pool).await;
    checks(&fakes[0], 2).await;
    for (what, reason) in [("no", other), ("", other), ("error", refused)] {
        assert_eq!(up(&pool), 1, "{what}");
        match what {
            "" => fakes[0].answer::<_, _, [&str; 1]>(sql, ["in_service"], []),
            "error" => fakes[0].answer_err(sql, err(1146, "no such table")),
            value => fakes[0].answer(sql, ["in_service"], [[value]]),
        }
        assert_eq!(ejected(&mut events).await, reason, "{what}");
        fakes[0].answer(sql, ["in_service"], [["yes"]]);
        until("it is back", || up(&pool) == 1).await;
    }
}

#[tokio::test]
async fn donor_is_ejected_only_when_configured() {
    let fakes: [_; 2] = fakes().await;
    set_state(&fakes[0], "2");
    set_state(&fakes[1], "4");
    let usual = pool(&fakes, often());
    start(&usual).await;
    checks(&fakes[0], 3).await;
    assert_eq!(up(&usual), 2);

    let synced = pool(&fakes, quick().health_check(checks_often().synced(true)));
    let mut events = synced.subscribe();
    start(&synced).await;
    assert_eq!(ejected(&mut events).await, "Galera node not synced");
    assert_eq!(states(&synced)[1], State::Up);
    set_state(&fakes[0], "4");
    until("it is back", || up(&synced) == 2).await;

    // What is no Galera node has no such state.
    fakes
        .iter()
        .for_each(|fake| fake.answer::<_, _, [&str; 2]>(STATE, ["a", "b"], []));
    checks(&fakes[0], 3).await;
    assert_eq!(up(&synced), 2);
}

/// Traffic proves that a donor serves, and it does.
#[tokio::test]
async fn busy_donor_is_ejected_too() {
    let fakes: [_; 1] = fakes().await;
    set_state(&fakes[0], "2");
    let pool = pool(&fakes, quick().health_check(checks_often().synced(true)));
    let busy = async {
        while up(&pool) == 1 {
            // The peer may be ejected while a checkout waits for it.
            if let Ok(mut conn) = pool.get_conn().await {
                let _ = conn.query_drop("SELECT 1").await;
            }
        }
    };
    soon(busy).await;
}

/// A ping that was asked for is not replaced by traffic.
#[tokio::test]
async fn ping_that_was_asked_for_is_sent_under_traffic_and_fails_on_an_error() {
    let fakes: [_; 1] = fakes().await;
    // Traffic proves the peer within so long a time.
    let check = HealthCheck::new().active(LIMIT, 1).probe(ProbeKind::Ping);
    let pool = pool(&fakes, quick().health_check(check));
    let mut events = pool.subscribe();
    let ejection = ejected(&mut events);
    let (mut ejection, before) = (pin!(ejection), fakes[0].logins());
    let busy = async {
        loop {
            tokio::select! {
                biased;
                reason = ejection.as_mut() => return reason,
                checkout = pool.get_conn() => {
                    let mut conn = checkout.unwrap();
                    conn.query_drop("SELECT 1").await.unwrap();
                }
            }
            // One login is for the traffic.
            if fakes[0].logins() - before >= 3 {
                fakes[0].set_fault(Fault::ErrAtPing(err(1105, "no backend")));
            }
        }
    };
    let reason = soon(busy).await;
    assert_eq!(reason, "the probe's statement was refused");
}

#[tokio::test]
async fn lost_idle_peer_is_found_by_checks() {
    for (fall, needs) in [(1, 1), (3, 3)] {
        let fakes: [_; 2] = fakes().await;
        let pool = pool(
            &fakes,
            quick().health_check(HealthCheck::new().active(EVERY, fall)),
        );
        start(&pool).await;
        checks(&fakes[0], 2).await;
        checks(&fakes[1], 2).await;
        fakes[0].set_fault(Fault::ErrAtLogin(err(1053, "Server shutdown in progress")));
        until("it is out", || states(&pool)[0] == State::Ejected).await;
        let failed = fakes[0].refused_logins();
        assert!((needs..=needs + 1).contains(&failed), "{failed} of {needs}");
        assert_eq!(states(&pool)[1], State::Up);
    }
}

#[tokio::test]
async fn unchecked_idle_peer_is_left_alone() {
    let fakes: [_; 2] = fakes().await;
    let checked = pool(&fakes[..1], often());
    let unchecked = pool(
        &fakes[1..],
        quick().health_check(HealthCheck::new().passive()),
    );
    start(&checked).await;
    start(&unchecked).await;
    fakes[1].set_fault(Fault::ErrAtLogin(err(1053, "Server shutdown in progress")));
    let before = fakes[1].accepted();
    checks(&fakes[0], 10).await;
    assert_eq!(fakes[1].accepted(), before);
    assert_eq!(up(&unchecked), 1);
}

/// A wrong password is the same everywhere, and so is a host that is short of descriptors: checks
/// that find such things would put everyone out. So would `DO 1` behind a proxy that does not know it.
#[tokio::test]
async fn inconclusive_checks_eject_no_peer() {
    for (code, options) in [
        (1045, often()),
        (1862, often()),
        (3032, often().writable(true)),
        (
            1193,
            quick().health_check(checks_often().probe(ProbeKind::Ping)),
        ),
    ] {
        let fakes: [_; 2] = fakes().await;
        fakes
            .iter()
            .for_each(|fake| set_read_only(fake, "OFF", "OFF"));
        let pool = pool(&fakes, options);
        start(&pool).await;
        let denied = Fault::ErrAtLogin(err(code, ""));
        fakes.iter().for_each(|fake| fake.set_fault(denied.clone()));
        checks(&fakes[0], 5).await;
        checks(&fakes[1], 5).await;
        assert_eq!(up(&pool), 2, "{code}");
    }
    let fakes: [_; 1] = fakes().await;
    fakes[0].answer_err("DO 1", err(1064, "You have an error in your SQL syntax"));
    let pool = pool(&fakes, often());
    start(&pool).await;
    checks(&fakes[0], 5).await;
    assert_eq!(up(&pool), 1);
}

#[tokio::test]
async fn no_probe_of_an_ejected_peer_passes_on_an_error() {
    let ping = || quick().health_check(HealthCheck::new().passive().probe(ProbeKind::Ping));
    let ready = || quick().health_check(HealthCheck::new().passive());
    let hands_out = Classifier::default().on(1064, Verdict::healthy());
    let cases = [
        (Fault::ErrAtLogin(err(3032, "offline mode")), ready()),
        (Fault::ErrAtLogin(err(1064, "unheard of")), ping()),
        (Fault::ErrAtPing(err(1105, "unknown error")), ping()),
        (
            Fault::ErrAtLogin(err(1064, "")),
            ready().classifier(hands_out.clone()),
        ),
        (Fault::ErrInQuery(err(1064, "syntax error")), ready()),
        (
            Fault::ErrInQuery(err(1820, "must reset your password")),
            ready().writable(true),
        ),
        (
            Fault::ErrInQuery(err(1064, "")),
            ready().classifier(hands_out),
        ),
    ];
    for (fault, options) in cases {
        let fakes: [_; 1] = fakes().await;
        set_read_only(&fakes[0], "OFF", "OFF");
        let pool = pool(&fakes, options);
        start(&pool).await;
        fakes[0].set_fault(fault.clone());
        let mut events = pool.subscribe();
        pool.peers().eject("a", Duration::from_millis(1)).unwrap();
        let mut failed = 0;
        while failed < 2 {
            let event = soon(events.next()).await.unwrap().unwrap();
            assert_ne!(event.kind, EventKind::Recovered, "{fault:?}");
            failed += usize::from(matches!(event.kind, EventKind::ProbeFailed { .. }));
        }
        fakes[0].clear_fault();
        until("it is back", || up(&pool) == 1).await;
    }
}

/// A connection that is held and works proves its peer, though the balancer hears nothing of it.
#[tokio::test]
async fn working_connection_replaces_checks() {
    let fakes: [_; 1] = fakes().await;
    let every = LIMIT;
    let pool = pool(
        &fakes,
        quick().health_check(HealthCheck::new().active(every, 1)),
    );
    let mut held = pool.get_conn().await.unwrap();
    // A machine that stalls leaves no proof for a while, and then a check may come, in the next window at last.
    let (mut quiet, mut stalled) = (0, false);
    let without_checks = async {
        while quiet < 4 {
            let before = fakes[0].accepted();
            let (start, mut latest, mut gap) = (Instant::now(), Instant::now(), Duration::ZERO);
            while start.elapsed() < 2 * every {
                held.query_drop("SELECT 1").await.unwrap();
                gap = gap.max(latest.elapsed());
                latest = Instant::now();
            }
            let stalled_before = std::mem::replace(&mut stalled, gap >= every / 2);
            if !stalled && !stalled_before {
                assert_eq!(fakes[0].accepted(), before);
                quiet += 1;
            }
        }
    };
    soon(without_checks).await;
    checks(&fakes[0], 1).await;
}

#[tokio::test]
async fn rise_probes_bring_a_peer_back() {
    let fakes: [_; 1] = fakes().await;
    let pool = pool(&fakes, quick().health_check(checks_often().rise(3)));
    start(&pool).await;
    fakes[0].set_fault(Fault::ErrAtLogin(err(1053, "Server shutdown in progress")));
    until("it is out", || up(&pool) == 0).await;
    let before = fakes[0].logins();
    fakes[0].clear_fault();
    until("it is back", || up(&pool) == 1).await;
    assert_eq!(fakes[0].logins() - before, 3);
}

#[tokio::test]
async fn probe_timeout_is_separate() {
    let fakes: [_; 1] = fakes().await;
    // Slower than a probe may be, and no slower than a caller's attempt.
    let check = checks_often().timeout(LIMIT / 3);
    let options = quick().connect_timeout(10 * LIMIT).health_check(check);
    let pool = pool(&fakes, options);
    let mut events = pool.subscribe();
    start(&pool).await;
    fakes[0].set_delay(LIMIT / 2);
    assert_eq!(ejected(&mut events).await, "no connection in time");
}
