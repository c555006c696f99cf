use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use evenhand_http::{KeepBodyLayer, PeerClient, TraceAttemptsLayer};
use tower::{ServiceBuilder, ServiceExt};
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::common::peer::{Mode, Peer};
use crate::common::*;

type Fields = BTreeMap<String, String>;

/// Keeps the fields of all spans of one target.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "evenhand_http"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut spans = self.0.lock().unwrap();
        let mut fields = Fields::new();
        span.record(&mut Into(&mut fields));
        spans.push(fields);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut spans = self.0.lock().unwrap();
        let index = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Into(&mut spans[index]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn each_attempt_is_a_span_with_the_fields_of_opentelemetry() {
    let mut peers = Peer::start_all::<2>(Mode::Status(404)).await;
    peers[0].kill().await;
    let set = peers_of(&peers);
    let service = ServiceBuilder::new()
        .layer(KeepBodyLayer::new())
        .layer(evenhand_http::balance(set))
        .layer(TraceAttemptsLayer)
        .service(PeerClient::new(hyper_client(Http::Two)));
    let spans = Spans::default();
    let sent = async {
        for _ in 0..20 {
            let _ = service.clone().oneshot(get("/orders?token=secret")).await;
        }
        let odd = request("BREW", "/pot", "");
        service.clone().oneshot(odd).await.unwrap();
    };
    sent.with_subscriber(spans.clone()).await;

    let spans = spans.0.lock().unwrap();
    let of = |peer: &str| {
        spans
            .iter()
            .find(|fields| fields["evenhand.peer"] == peer)
            .unwrap()
    };
    let refused = of("0");
    assert_eq!(refused["error.type"], "error");
    assert_eq!(refused["otel.status_code"], "ERROR");
    assert!(!refused.contains_key("http.response.status_code"));

    let port = peers[1].base_url().port().to_string();
    for (field, value) in [
        ("otel.name", "GET"),
        ("otel.kind", "client"),
        ("http.request.method", "GET"),
        ("server.address", "127.0.0.1"),
        ("server.port", &port),
        ("url.scheme", "http"),
        ("url.path", "/orders"),
        ("network.protocol.version", "2"),
        ("http.response.status_code", "404"),
        ("error.type", "404"),
        ("otel.status_code", "ERROR"),
        ("evenhand.probe", "false"),
    ] {
        assert_eq!(of("1")[field], value, "{field}");
    }
    assert_eq!(spans.last().unwrap()["http.request.method"], "_OTHER");
    assert!(!format!("{spans:?}").contains("secret"));
}
