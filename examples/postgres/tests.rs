//! What the classifier makes of the driver's real errors.

use std::future::poll_fn;
use std::task::Poll;

use evenhand::{Error, PeerVerdict, Retry, Verdict};

use super::*;

const READ: Query = state_of(7);

const WRITE: Query = Query {
    sql: "UPDATE orders SET state = 'shipped' WHERE id = $1 RETURNING state",
    id: 7,
    read: false,
};

fn peer(server: &Server) -> Peer<Database> {
    let peers = Peers::new([("a", Database::new(server.config()).unwrap())]).unwrap();
    peers.get("a").unwrap()
}

/// What a server's outcome is judged to be.
async fn verdict(peer: &Peer<Database>) -> Verdict {
    let outcome = run(Attempt::detached(peer.clone(), READ)).await;
    judge(outcome.as_ref())
}

fn decided(verdict: Verdict) -> (PeerVerdict, Retry) {
    (verdict.peer, verdict.retry)
}

#[tokio::test]
async fn refused_logins_are_judged_by_their_codes() {
    let server = Server::start().unwrap();
    let peer = peer(&server);
    for (code, expected) in [
        ("57P03", (PeerVerdict::Down, Retry::Safe)),
        ("08004", (PeerVerdict::Down, Retry::Safe)),
        ("53300", (PeerVerdict::Neutral, Retry::Busy)),
        ("53200", (PeerVerdict::Degraded, Retry::Safe)),
        ("28P01", (PeerVerdict::Suspect, Retry::Safe)),
        ("3D000", (PeerVerdict::Suspect, Retry::Safe)),
    ] {
        server.set(Mood::RefusesLogins(code));
        assert_eq!(decided(verdict(&peer).await), expected, "{code}");
    }
}

#[tokio::test]
async fn failed_queries_are_judged_by_their_codes() {
    let server = Server::start().unwrap();
    let peer = peer(&server);
    for (code, expected) in [
        ("57P01", (PeerVerdict::Down, Retry::IfIdempotent)),
        ("57P02", (PeerVerdict::Down, Retry::IfIdempotent)),
        ("57P05", (PeerVerdict::Neutral, Retry::Safe)),
        ("25006", (PeerVerdict::Suspect, Retry::Safe)),
        ("08006", (PeerVerdict::Down, Retry::IfIdempotent)),
        ("XX000", (PeerVerdict::Degraded, Retry::IfIdempotent)),
        ("40001", (PeerVerdict::Healthy, Retry::Never)),
        ("40P01", (PeerVerdict::Healthy, Retry::Never)),
        ("23505", (PeerVerdict::Healthy, Retry::Never)),
        ("42P01", (PeerVerdict::Healthy, Retry::Never)),
        ("28000", (PeerVerdict::Healthy, Retry::Never)),
    ] {
        server.set(Mood::RefusesQueries(code));
        assert_eq!(decided(verdict(&peer).await), expected, "{code}");
    }
}

#[tokio::test]
async fn server_that_is_gone_is_down_and_nothing_was_sent() {
    let mut server = Server::start().unwrap();
    let peer = peer(&server);
    server.kill();
    let expected = (PeerVerdict::Down, Retry::Safe);
    assert_eq!(decided(verdict(&peer).await), expected);
}

#[tokio::test]
async fn server_without_a_free_connection_is_busy() {
    let server = Server::start().unwrap();
    let peer = peer(&server);
    let mut in_use = Vec::new();
    while in_use.len() < peer.pool.status().max_size {
        in_use.push(peer.pool.get().await.unwrap());
    }
    let expected = (PeerVerdict::Neutral, Retry::Busy);
    assert_eq!(decided(verdict(&peer).await), expected);
}

#[tokio::test]
async fn query_that_broke_half_way_is_run_again_only_if_it_reads() {
    for (query, runs_again) in [(READ, true), (WRITE, false)] {
        let mut servers = [Server::start().unwrap(), Server::start().unwrap()];
        let [a, b] = servers
            .each_ref()
            .map(|server| Database::new(server.config()).unwrap());
        let peers = Peers::new([("a", a), ("b", b)]).unwrap();
        for (peer, server) in peers.iter().zip(&servers) {
            // So there is a connection, and the first poll sends the query.
            assert_eq!(verdict(&peer).await, Verdict::healthy());
            server.set(Mood::Hangs);
        }
        let mut asked = Box::pin(balance(peers.clone()).oneshot(query));
        assert!(poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx).is_pending())).await);
        let statuses = peers.statuses();
        let at = statuses.iter().position(|s| s.in_flight > 0).unwrap();
        servers[at].kill();
        servers[1 - at].set(Mood::Well);
        match asked.await {
            Ok((peer, _)) if runs_again => assert_eq!(*peer, *peers.statuses()[1 - at].peer),
            Err(Error::Failed { tried, .. }) if !runs_again => assert_eq!(tried.len(), 1),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn write_goes_to_the_other_server_where_one_was_demoted() {
    let servers = [Server::start().unwrap(), Server::start().unwrap()];
    let [a, b] = servers
        .each_ref()
        .map(|server| Database::new(server.config()).unwrap());
    let peers = Peers::new([("a", a), ("b", b)]).unwrap();
    for peer in &peers.iter().collect::<Vec<_>>() {
        // So there is a connection.
        assert_eq!(verdict(peer).await, Verdict::healthy());
    }
    servers[0].set(Mood::RefusesQueries("25006"));
    // The pick is random, so it may take a few.
    while peers.statuses()[0].state == State::Up {
        let (peer, _) = balance(peers.clone()).oneshot(WRITE).await.unwrap();
        assert_eq!(&*peer, "b");
    }
}

#[tokio::test]
async fn connection_of_a_query_that_was_cut_off_is_closed() {
    let server = Server::start().unwrap();
    let peer = peer(&server);
    assert_eq!(verdict(&peer).await, Verdict::healthy());
    assert_eq!(peer.pool.status().size, 1);
    server.set(Mood::Hangs);
    let mut cut_off = Box::pin(run(Attempt::detached(peer.clone(), READ)));
    assert!(poll_fn(|cx| Poll::Ready(cut_off.as_mut().poll(cx).is_pending())).await);
    drop(cut_off);
    assert_eq!(peer.pool.status().size, 0);
}
