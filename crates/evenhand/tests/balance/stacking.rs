//! The balancer between other layers: boxed errors, attempts with another request, constructors.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use evenhand::{
    Attempt, Balance, BalanceLayer, BoxErrorsLayer, BoxedError, Error, Peers, PerPeer, State,
    Verdict, on_error,
};
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::common::{INTERVAL, peers};

#[tokio::test(start_paused = true)]
async fn tower_timeout_below_the_balancer_needs_one_layer_between() {
    let peers = peers(&["a"]);
    let classify = on_error(|error: &BoxedError| match error.is::<Elapsed>() {
        true => Verdict::down().because("silent"),
        false => Verdict::neutral(),
    });
    let balance = ServiceBuilder::new()
        .layer(BalanceLayer::new(peers.clone()).classify(classify))
        .layer(BoxErrorsLayer)
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .service(service_fn(async |_: Attempt<(), ()>| {
            std::future::pending::<io::Result<()>>().await
        }));
    let error: Error<BoxedError> = balance.oneshot(()).await.unwrap_err();
    assert_eq!(error.to_string(), "the request failed: a: silent");
    assert!(error.source().unwrap().is::<Elapsed>());
    assert_eq!(peers.up_count(), 0);
}

#[tokio::test]
async fn tickets_of_a_mapped_attempt_are_those_of_the_attempt() {
    let peers = peers(&["a"]);
    let (send, mut tickets) = tokio::sync::mpsc::unbounded_channel();
    let inner = service_fn(move |attempt: Attempt<(), String>| {
        send.send(attempt.deciding_ticket()).unwrap();
        std::future::ready(Ok::<_, io::Error>(attempt.request))
    });
    let connector = inner.map_request(|attempt: Attempt<(), u8>| attempt.map(|n| n.to_string()));
    let balance = BalanceLayer::new(peers.clone()).layer(connector);
    assert_eq!(balance.oneshot(7).await.unwrap(), "7");
    let ticket = tickets.recv().await.unwrap();
    assert_eq!(peers.statuses()[0].in_flight, 1);
    ticket.report(Verdict::down());
    assert_eq!(peers.up_count(), 0);
}

#[tokio::test]
async fn tickets_of_a_detached_attempt_count_for_the_peers_state() {
    let peers = peers(&["a"]);
    let _balance = BalanceLayer::new(peers.clone()).layer(());
    let attempt = || Attempt::detached(peers.iter().next().unwrap(), ());
    let (plain, deciding) = (attempt(), attempt());
    assert_eq!(peers.statuses()[0].in_flight, 0);
    plain.ticket().report(Verdict::down());
    assert_eq!(peers.up_count(), 0);
    // It was picked before the ejection.
    deciding.deciding_ticket().report(Verdict::healthy());
    assert_eq!(peers.up_count(), 0);
    attempt().deciding_ticket().report(Verdict::healthy());
    assert_eq!(peers.up_count(), 1);
    assert_eq!(peers.statuses()[0].in_flight, 0);
}

#[tokio::test]
async fn detached_attempt_works_without_a_balancer() {
    let peers = peers(&["a"]);
    let attempt = Attempt::detached(peers.iter().next().unwrap(), "request");
    assert!(!attempt.is_probe() && !attempt.is_second_pass());
    attempt.ticket().report(Verdict::down());
    assert_eq!(peers.statuses()[0].state, State::Up);
}

#[tokio::test]
async fn connector_can_be_reached_and_taken_out() {
    let mut balance = Balance::new(1_u8, Peers::new([("a", ())]).unwrap());
    *balance.get_mut() += 1;
    assert_eq!(*balance.get_ref(), 2);
    assert_eq!(balance.clone().into_inner(), 2);
    let layer = Balance::layer(balance.peers().clone());
    assert_eq!(*layer.layer(3_u8).get_ref(), 3);
}

#[tokio::test]
async fn boxed_services_of_several_types_are_peers() {
    let fails = service_fn(async |_: u8| Err::<u8, _>(io::Error::from(io::ErrorKind::TimedOut)));
    let works = service_fn(async |n: u8| Ok::<_, io::Error>(2 * n));
    let peers = Peers::new([
        ("fails", BoxCloneSyncService::new(fails)),
        ("works", BoxCloneSyncService::new(works)),
    ])
    .unwrap();
    let layer = BalanceLayer::new(peers);
    let balance = layer.service_classified_by(PerPeer, |outcome| match outcome {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Verdict::down().safe().recover_in(INTERVAL)
        }
        _ => Verdict::healthy(),
    });
    for _ in 0..8 {
        assert_eq!(balance.clone().oneshot(21_u8).await.unwrap(), 42);
    }
}
