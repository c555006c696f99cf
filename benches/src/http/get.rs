//! A small GET whose body is read to its end, from one task, over connections that are kept open.

use bytes::Bytes;
use evenhand_http::{KeepBodyLayer, PeerClient};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Builder;
use tower::{Service, ServiceBuilder, ServiceExt};

use super::PEERS;
use super::server::BODY;
use crate::one_task::Run;

/// One way to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// hyper-util's client, with one server after the other.
    HyperUtil,
    /// Evenhand over all servers, above the same client.
    Evenhand,
}

impl Row {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::HyperUtil, Self::Evenhand];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::HyperUtil => "hyper-util",
            Self::Evenhand => "evenhand-http",
        }
    }

    /// The row of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.name() == name)
    }
}

/// Sets a row up over the servers at these base URLs. The sum that it gives is that of the bodies'
/// lengths.
pub fn set_up(row: Row, urls: &[String; PEERS]) -> Run {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    match row {
        Row::HyperUtil => {
            // As `evenhand_http::client` makes it.
            let mut connector = HttpConnector::new();
            connector.set_connect_timeout(Some(evenhand_http::DEFAULT_CONNECT_TIMEOUT));
            connector.set_nodelay(true);
            let mut builder = Client::builder(TokioExecutor::new());
            let mut client = builder
                .pool_timer(TokioTimer::new())
                .build::<_, Full<Bytes>>(connector);
            let uris = urls.each_ref().map(|url| uri(&format!("{url}/orders/7")));
            let mut turns = uris.into_iter().cycle();
            Box::new(move |calls| {
                let uris = turns.by_ref().take(calls as usize);
                runtime.block_on(send_all(&mut client, uris))
            })
        }
        Row::Evenhand => {
            let peers = evenhand_http::peers(urls).expect("they are base URLs");
            let mut service = ServiceBuilder::new()
                .layer(KeepBodyLayer::new())
                .layer(evenhand_http::balance(peers))
                .service(PeerClient::new(evenhand_http::client::<Full<Bytes>>()));
            let path = uri("/orders/7");
            Box::new(move |calls| {
                let uris = std::iter::repeat_n(&path, calls as usize).cloned();
                runtime.block_on(send_all(&mut service, uris))
            })
        }
    }
}

fn uri(text: &str) -> Uri {
    text.parse().expect("it is a URL")
}

async fn send_all<S, B>(service: &mut S, uris: impl Iterator<Item = Uri>) -> u64
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: std::fmt::Debug>,
    B: Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let mut sum = 0;
    for uri in uris {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        let ready = service.ready().await.expect("the servers are up");
        let response = ready.call(request).await.expect("the servers are up");
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await;
        let body = body.expect("it is whole").to_bytes();
        assert_eq!(body, BODY);
        sum += body.len() as u64;
    }
    sum
}

/// Makes this number of calls for callgrind, which counts between entering and leaving this
/// function.
#[inline(never)]
pub fn measured(run: &mut Run, calls: u64) -> u64 {
    std::hint::black_box(run(calls))
}
