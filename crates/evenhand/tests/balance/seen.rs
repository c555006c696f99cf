//! What operators see of a set: since when and why a peer is out, and when all are.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenhand::{Events, Peer, Peers, Probe, SetEvent, State, Verdict};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, service_fn};
use tracing::field::{Field, Visit};
use tracing::{Metadata, span};

use crate::common::{Does, INTERVAL, REFUSE, ScriptedConnector, balance, layer, peers, send};

const SECOND: Duration = Duration::from_secs(1);

/// What the events say of the set, each with its peer.
fn of_set(events: &mut Events) -> Vec<(String, SetEvent)> {
    let mut told = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        told.extend(event.set.map(|set| (event.peer.to_string(), set)));
    }
    told
}

#[tokio::test(start_paused = true)]
async fn status_tells_since_when_and_why_a_peer_is_out() {
    let (peers, connector, balance) = balance(&["a"]);
    let status = || peers.statuses().remove(0);
    let start = Instant::now();
    assert_eq!((status().since, status().last_reason), (start, None));
    advance(SECOND).await;
    connector.script([REFUSE, Does::Fail(Verdict::down().because("still down"))]);
    send(&balance).await.unwrap_err();
    let out = start + SECOND;
    assert_eq!(
        (status().since, status().last_reason),
        (out, Some("refused"))
    );
    advance(INTERVAL).await;
    send(&balance).await.unwrap_err();
    assert_eq!(status().state, State::Ejected);
    assert_eq!(
        (status().since, status().last_reason),
        (out, Some("still down"))
    );
    advance(INTERVAL).await;
    send(&balance).await.unwrap();
    let back = out + 2 * INTERVAL;
    assert_eq!(
        (status().since, status().last_reason),
        (back, Some("still down"))
    );
    advance(SECOND).await;
    drop(connector.tickets());
    peers.drain("a").await.unwrap();
    assert_eq!(
        (status().since, status().last_reason),
        (back + SECOND, Some("still down"))
    );
    peers.restore("a").unwrap();
    assert_eq!(status().last_reason, None);
}

#[tokio::test(start_paused = true)]
async fn last_peer_to_go_and_first_to_come_back_are_told() {
    let peers = peers(&["a", "b", "c"]);
    let mut events = peers.subscribe();
    peers.eject("a", INTERVAL).unwrap();
    peers.drain("b").await.unwrap();
    assert_eq!(of_set(&mut events), []);
    peers.eject("c", INTERVAL).unwrap();
    assert_eq!(of_set(&mut events), [("c".to_owned(), SetEvent::AllDown)]);
    peers.eject("c", INTERVAL).unwrap();
    peers.remove("c").unwrap();
    assert_eq!(of_set(&mut events), [], "they were down");
    peers.restore("b").unwrap();
    peers.restore("a").unwrap();
    assert_eq!(of_set(&mut events), [("b".to_owned(), SetEvent::FirstUp)]);
    peers.eject("a", INTERVAL).unwrap();
    peers.remove("b").unwrap();
    peers.add("d", ()).unwrap();
    let expected = [
        ("b".to_owned(), SetEvent::AllDown),
        ("d".to_owned(), SetEvent::FirstUp),
    ];
    assert_eq!(of_set(&mut events), expected);
}

#[tokio::test]
async fn set_that_is_replaced_or_emptied_is_not_told_as_down() {
    let peers = Peers::new([("a", 1)]).unwrap();
    let mut events = peers.subscribe();
    peers.replace_all([("b", 2)]).unwrap();
    peers.remove("b").unwrap();
    peers.add("c", 3).unwrap();
    assert_eq!(of_set(&mut events), []);
    assert_eq!(events.try_next().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn peers_that_join_on_proof_are_told_as_neither() {
    let peers = Peers::new([("", (1)); 0]).unwrap();
    let mut events = peers.subscribe();
    peers.joining_on_proof().add("a", 1).unwrap();
    assert_eq!(of_set(&mut events), []);
    peers.restore("a").unwrap();
    assert_eq!(of_set(&mut events), []);
}

#[tokio::test]
async fn set_may_have_a_name() {
    assert_eq!(peers(&["a"]).name(), None);
    let named = Peers::named("orders", [("a", ())]).unwrap();
    assert_eq!(named.clone().name(), Some("orders"));
}

#[tokio::test(start_paused = true)]
async fn error_of_a_probe_may_be_of_any_type() {
    let peers = peers(&["a"]);
    let boxed = service_fn(async |_: Peer<()>| {
        Err::<(), _>(Box::<dyn std::error::Error + Send + Sync>::from(
            "unreachable",
        ))
    });
    let probe = Probe::new(boxed, SECOND);
    let _balance = layer(&peers).probe(probe).layer(());
    peers.eject("a", SECOND).unwrap();
    sleep(2 * SECOND).await;
    assert_eq!(peers.statuses()[0].last_reason, Some("probe failed"));
}

/// Keeps the log lines of this crate: the level, the message, and the fields in their order.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("evenhand")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn log_has_a_line_for_each_failover_and_for_the_loss_of_all() {
    let peers = Peers::named("orders", [("a", ()), ("b", ())]).unwrap();
    let connector = ScriptedConnector::new();
    let balance = layer(&peers).layer(connector.clone());
    connector.tell_all(&["a", "b"], REFUSE);
    let lines = Lines::default();
    let traced = tracing::subscriber::set_default(lines.clone());
    send(&balance).await.unwrap_err();
    peers.restore("a").unwrap();
    drop(traced);
    let (first, second) = match &*connector.attempts()[0] {
        "a" => ("a", "b"),
        _ => ("b", "a"),
    };
    let ejected = "peer ejected pool=\"orders\"";
    let expected = [
        format!("WARN message={ejected} peer=\"{first}\" reason=\"refused\" probe_in=30s up=1"),
        format!(
            "DEBUG message=a request goes on to another attempt pool=\"orders\" \
             from=\"{first}\" to=\"{second}\" reason=\"refused\""
        ),
        format!("WARN message={ejected} peer=\"{second}\" reason=\"refused\" probe_in=30s up=0"),
        format!("ERROR message=all peers are down pool=\"orders\" peer=\"{second}\""),
        "INFO message=peer restored pool=\"orders\" peer=\"a\" up=1".to_owned(),
        "INFO message=a peer is up again pool=\"orders\" peer=\"a\"".to_owned(),
    ];
    assert_eq!(*lines.0.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn log_line_of_a_probes_own_error_names_set_and_peer() {
    let peers = Peers::named("orders", [("a", ())]).unwrap();
    let fails = service_fn(async |_: Peer<()>| Err::<(), _>("unreachable"));
    let _balance = layer(&peers).probe(Probe::new(fails, SECOND)).layer(());
    let lines = Lines::default();
    let _traced = tracing::subscriber::set_default(lines.clone());
    peers.eject("a", SECOND).unwrap();
    sleep(SECOND + SECOND / 2).await;
    let expected =
        "DEBUG message=a probe's service failed pool=\"orders\" peer=\"a\" error=\"unreachable\"";
    let lines = lines.0.lock().unwrap();
    assert!(lines.iter().any(|line| line == expected), "{lines:?}");
}
