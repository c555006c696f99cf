//! What becomes of connections to an address that their peer has left is not held against the peer.

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::mysql_async::prelude::Queryable;
use evenhand_mysql::{Error, HealthCheck};
use evenhand_testkit::{ErrPacket, Fault};

use super::moves::pool;
use super::{Names, at_one_port};
use crate::common::setup::still;
use crate::common::{quick, soon, states, until, up};

#[tokio::test]
async fn errors_and_ends_of_connections_to_the_address_before_eject_no_peer() {
    let fakes: [_; 2] = at_one_port().await;
    let names = Names::default();
    names.are(&[1]);
    // Each of these takes out a peer on whose own connections they come.
    let shutdown = ErrPacket::new(1053, "08S01", "Server shutdown in progress");
    let no_quorum = ErrPacket::new(1047, "08S01", "WSREP has not yet prepared node");
    let read_only = ErrPacket::new(1290, "HY000", "running with the --read-only option");
    let errors = [shutdown, no_quorum, read_only];
    let hour = Duration::from_secs(3600);
    let options = still().writable(true).first_recheck(hour);
    let pool = pool(&fakes, names.known_to(options));
    let mut events = pool.subscribe();
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(pool.get_conn().await.unwrap());
    }
    names.are(&[2]);
    names.are_looked_up_again().await;
    for (at, error) in errors.into_iter().enumerate() {
        fakes[0].answer_err("DO 2", error);
        let error = held[at].query_drop("DO 2").await;
        assert!(error.is_err());
    }
    fakes[0].kill();
    for conn in &mut held[3..] {
        soon(conn.query_drop("DO 3")).await.unwrap_err();
    }
    drop(held);
    drop(soon(pool.get_conn()).await.unwrap());
    assert_eq!(states(&pool), [State::Up]);
    assert!(events.try_next().unwrap().is_none());
}

#[tokio::test]
async fn silence_of_the_new_address_ends_no_statement_on_the_one_before() {
    let fakes: [_; 2] = at_one_port().await;
    let names = Names::default();
    names.are(&[1]);
    let often = HealthCheck::new().active(Duration::from_millis(100), 3);
    let pool = pool(&fakes, names.known_to(quick().health_check(often)));
    let mut conn = pool.get_conn().await.unwrap();
    let lost = conn.peer_lost();
    fakes[0].set_delay(Duration::from_secs(4));
    let waiting = tokio::spawn(async move { conn.query_drop("DO 2").await });
    until("it waits", || {
        fakes[0].statements().contains(&"DO 2".to_owned())
    })
    .await;
    fakes[1].set_fault(Fault::Silent);
    names.are(&[2]);
    until("the new one is out", || up(&pool) == 0).await;
    soon(waiting).await.unwrap().unwrap();
    let lost = futures_util::future::FutureExt::now_or_never(lost);
    assert!(lost.is_none(), "{:?}", lost.as_ref().map(Error::to_string));
}
