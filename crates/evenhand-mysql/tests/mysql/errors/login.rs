//! Errors that a login gets, from the double.

use std::time::Duration;

use evenhand_mysql::AllDownKind;
use evenhand_mysql::evenhand::{EventKind, State};
use evenhand_testkit::Fault;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::common::setup::{agreed, checkout_code, ejection, still};
use crate::common::{LIMIT, err, fakes, pool, soon, states, until, up};

/// What an error in one peer's logins brings about, in words.
async fn effect(fault: &Fault) -> String {
    let fakes: [_; 2] = fakes().await;
    // Nothing runs out of time on a busy machine.
    let patient = still()
        .connect_timeout(100 * LIMIT)
        .checkout_timeout(100 * LIMIT);
    let pool = pool(&fakes, patient);
    let mut events = pool.subscribe();
    fakes[0].set_fault(fault.clone());
    let (mut held, mut refused) = (Vec::new(), 0);
    while states(&pool)[0] == State::Up && fakes[0].accepted() < 8 && held.len() < 50 {
        match pool.get_conn().await {
            Ok(conn) => held.push(conn),
            Err(_) => refused += 1,
        }
    }
    assert_eq!(states(&pool)[1], State::Up, "{fault:?}");
    let peer = match (states(&pool)[0], fakes[0].accepted()) {
        (State::Up, _) => "ejects no peer".to_owned(),
        (_, 1) => "out at once".to_owned(),
        (_, n) => format!("out after {n}"),
    };
    let caller = if refused == 0 {
        "no caller notices"
    } else {
        "callers get it"
    };
    let probe = match ejection(&mut events) {
        Some((_, _, probe_in)) if probe_in > 2 * LIMIT => format!(", probed in {probe_in:?}"),
        _ => String::new(),
    };
    // With both peers so, is it the peers' fault or the caller's?
    let fakes: [_; 2] = crate::common::fakes().await;
    let patient = still()
        .connect_timeout(10 * LIMIT)
        .checkout_timeout(10 * LIMIT)
        .all_down(AllDownKind::Fail);
    let pool = crate::common::pool(&fakes, patient);
    fakes.iter().for_each(|fake| fake.set_fault(fault.clone()));
    let error = pool.get_conn().await.unwrap_err();
    let both = if agreed(&error) {
        ", unless both do"
    } else {
        ""
    };
    format!("{peer}{both}, {caller}{probe}")
}

/// Rows: 1043, full, user-limit, unresolved, blocked, not-allowed, login-refused, connect-galera,
/// connect-shutdown, connect-wire, connect-proxy (the double)
#[tokio::test]
async fn each_login_error_has_its_effect() {
    let wsrep = "WSREP has not yet prepared node for application use";
    let down = "out at once, no caller notices";
    let full = "ejects no peer, no caller notices";
    let blocked = "out at once, no caller notices, probed in 300s";
    let suspect = "out at once, unless both do, no caller notices";
    let degraded = "out after 5, no caller notices";
    let cases = [
        (1040, "Too many connections", full),
        (1203, "User has too many connections", full),
        (1226, "User has exceeded a resource", full),
        (1042, "Can't get hostname for your address", down),
        (1043, "Bad handshake", down),
        (1129, "Host is blocked", blocked),
        (1130, "Host is not allowed to connect", blocked),
        (1044, "Access denied to database", suspect),
        (1045, "Access denied", suspect),
        (1049, "Unknown database", suspect),
        (1698, "Access denied", suspect),
        (3118, "Account is locked", suspect),
        (4151, "Account is locked", suspect),
        (1047, wsrep, down),
        (1047, "Unknown command", suspect),
        (1053, "Server shutdown in progress", down),
        (1077, "Normal shutdown", down),
        (1078, "Got signal", down),
        (1079, "Shutdown complete", down),
        (1080, "Forcing close of thread", down),
        (1152, "Aborted connection", degraded),
        (1154, "Got a read error", degraded),
        (1155, "Got an error from fcntl", degraded),
        (1158, "Got an error reading", degraded),
        (1159, "Got timeout reading", degraded),
        (1160, "Got an error writing", degraded),
        (1161, "Got timeout writing", degraded),
        (1184, "Aborted connection", degraded),
        (9001, "Max connect timeout reached", degraded),
        (9002, "Max connect failure", degraded),
        // In no row.
        (1820, "You must reset your password", suspect),
        (1862, "Your password has expired", suspect),
        (3032, "The server is currently in offline mode", suspect),
        (
            3159,
            "Connections using insecure transport are prohibited",
            suspect,
        ),
        (3955, "Account is blocked", suspect),
    ];
    let mut running = JoinSet::new();
    for (code, message, expected) in cases {
        let error = err(code, message);
        for fault in [
            Fault::ErrAtLogin(error.clone()),
            Fault::ErrAsGreeting(error),
        ] {
            running.spawn(async move { (effect(&fault).await, expected, fault) });
        }
    }
    while let Some(ended) = running.join_next().await {
        let (effect, expected, fault) = ended.unwrap();
        assert_eq!(effect, expected, "{fault:?}");
    }
}

/// Rows: refused, attempt-timeout (the double)
#[tokio::test]
async fn refusing_or_silent_peer_is_ejected() {
    for fault in [Fault::Refuse, Fault::Silent, Fault::StallInHandshake] {
        let fakes: [_; 2] = fakes().await;
        let pool = pool(&fakes, still());
        let mut events = pool.subscribe();
        fakes[0].set_fault(fault.clone());
        for _ in 0..100 {
            if up(&pool) == 2 {
                drop(pool.get_conn().await.unwrap());
            }
        }
        let (peer, reason, _) = ejection(&mut events).unwrap();
        let expected = match fault {
            Fault::Refuse => "connection refused",
            _ => "no connection in time",
        };
        assert_eq!((&*peer, reason), ("a", expected), "{fault:?}");
    }
}

/// Rows: connect-lost, bad-handshake, own-settings (a bare listener)
#[tokio::test]
async fn non_mysql_ejects_but_unknown_plugin_does_not() {
    use tokio::io::AsyncWriteExt;
    // A greeting of the version 5.7.1, with this plugin's name.
    let greeting = |plugin: &str| {
        let mut body = b"\x0a5.7.1\0\x01\0\0\0saltsalt\0\xff\xf7\x08\x02\0\x0f\x80\x15".to_vec();
        body.extend([0; 10]);
        body.extend(b"saltsaltsalt\0");
        body.extend(plugin.as_bytes());
        body.push(0);
        body
    };
    let packet = |sequence: u8, body: &[u8]| {
        let mut packet = vec![body.len() as u8, 0, 0, sequence];
        packet.extend(body);
        packet
    };
    let switch = b"\xfenobody_knows_it\0salt\0";
    let cases: [(&str, Vec<u8>, Option<&str>); 4] = [
        ("nothing at all", Vec::new(), Some("connection failed")),
        (
            "http",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            Some("bad handshake"),
        ),
        (
            "a packet out of turn",
            packet(7, &greeting("mysql_native_password")),
            Some("bad handshake"),
        ),
        (
            "an unknown plugin",
            [
                packet(0, &greeting("mysql_native_password")),
                packet(2, switch),
            ]
            .concat(),
            None,
        ),
    ];
    for (what, bytes, reason) in cases {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mysql://root@{}/test", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                stream.shutdown().await.unwrap();
                // Until the client has had enough: a close with unread bytes is a reset.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        });
        let pool = crate::common::setup::pool_of(&[url], still());
        let mut events = pool.subscribe();
        let error = pool.get_conn().await.unwrap_err();
        let ejected = ejection(&mut events).map(|(_, reason, _)| reason);
        assert_eq!(ejected, reason, "{what}: {error}");
        server.abort();
    }
}

/// Rows: no-free-slot (the double)
#[tokio::test]
async fn local_shortage_ejects_no_peer() {
    let fakes: [_; 1] = fakes().await;
    let options = still().checkout_timeout(LIMIT);
    let pool = crate::common::pool_with("pool_min=1&pool_max=1", &fakes, options);
    let held = pool.get_conn().await.unwrap();
    pool.get_conn().await.unwrap_err();
    assert_eq!(up(&pool), 1);
    drop(held);
    drop(pool.get_conn().await.unwrap());
}

/// Rows: login-refused (the double)
#[tokio::test]
async fn refused_login_tries_three_peers() {
    let fakes: [_; 4] = fakes().await;
    let pool = pool(&fakes, still());
    let denied = |text| Fault::ErrAtLogin(err(1045, text));
    for (fake, text) in fakes.iter().zip(["no a", "no b", "no c", "no d"]) {
        fake.set_fault(denied(text));
    }
    let error = pool.get_conn().await.unwrap_err();
    assert!(agreed(&error), "{error}");
    assert_eq!(checkout_code(&error), Some(1045));
    let asked: u64 = fakes.iter().map(|fake| fake.accepted()).sum();
    assert_eq!((asked, up(&pool)), (3, 4));

    fakes[1..].iter().for_each(|fake| fake.clear_fault());
    let mut held = Vec::new();
    while up(&pool) == 4 {
        held.push(pool.get_conn().await.unwrap());
    }
    assert_eq!(states(&pool)[0], State::Ejected);
    fakes[0].clear_fault();
    until("it is back", || up(&pool) == 4).await;
}

/// A login that is tried meanwhile, and has no answer, does not hide why there was no room.
#[tokio::test]
async fn checkout_that_met_a_full_peer_says_so_at_its_deadline() {
    let fakes: [_; 1] = fakes().await;
    fakes[0].set_fault(Fault::ErrAtLogin(err(1040, "Too many connections")));
    let options = still()
        .connect_timeout(100 * LIMIT)
        .checkout_timeout(10 * LIMIT);
    let pool = pool(&fakes, options);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get_conn().await }
    });
    until("it is full", || fakes[0].refused_logins() > 0).await;
    fakes[0].set_fault(Fault::Silent);
    let asked = fakes[0].accepted();
    until("a trial", || fakes[0].accepted() > asked).await;
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(checkout_code(&error), Some(1040), "{error}");
}

/// Rows: full, user-limit (the double)
#[tokio::test]
async fn probe_that_meets_a_full_peer_brings_it_back() {
    for code in [1040, 1203, 1226] {
        let fakes: [_; 1] = fakes().await;
        let pool = pool(&fakes, still());
        let conn = pool.get_conn().await.unwrap();
        fakes[0].set_fault(Fault::ErrAtLogin(err(code, "")));
        pool.peers().eject("a", LIMIT / 10).unwrap();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.get_conn().await }
        });
        until("it is back", || up(&pool) == 1).await;
        let usage = &pool.usage().peers[0];
        assert_eq!((usage.in_use, usage.limit), (1, 1), "{code}");
        let asked = fakes[0].accepted();
        // A caller that waits tries it again.
        until("a trial", || fakes[0].accepted() > asked).await;
        assert_eq!(up(&pool), 1, "{code}");
        fakes[0].clear_fault();
        drop(waiting.await.unwrap().unwrap());
        drop(conn);
    }
}

/// Rows: full (the double)
#[tokio::test]
async fn probe_for_more_than_a_login_is_not_passed_by_a_full_peer() {
    let fakes: [_; 1] = fakes().await;
    let pool = pool(&fakes, still().writable(true));
    let mut events = pool.subscribe();
    fakes[0].set_fault(Fault::ErrAtLogin(err(1040, "")));
    pool.peers().eject("a", LIMIT / 10).unwrap();
    drop(pool.get_conn().await);
    let failed = |kind| matches!(kind, EventKind::ProbeFailed { .. });
    let probed = async { while !failed(events.next().await.unwrap().unwrap().kind) {} };
    timeout(Duration::from_secs(10), probed).await.unwrap();
    assert_eq!(up(&pool), 0);
}
