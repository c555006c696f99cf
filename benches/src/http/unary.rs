//! Unary calls of gRPC from 64 tasks on two threads: through tonic's own balancer, and through
//! Evenhand.

use evenhand_http::{AnswerErrorsLayer, KeepBodyLayer, PeerClient};
use tokio::runtime::Builder;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use super::PEERS;
use crate::one_task::Run;

/// How many tasks call at once.
pub const TASKS: u64 = 64;

/// One way to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// `Channel::balance_list`.
    Tonic,
    /// A tonic client over Evenhand.
    Evenhand,
}

impl Row {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tonic, Self::Evenhand];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tonic => "tonic's balance_list",
            Self::Evenhand => "evenhand-http",
        }
    }
}

/// Sets a row up over the servers at these base URLs. Calls are to be a multiple of [`TASKS`]. The
/// sum that it gives is their number.
pub fn set_up(row: Row, urls: &[String; PEERS]) -> Run {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let guard = runtime.enter();
    match row {
        Row::Tonic => {
            let endpoint = |url: &String| Endpoint::from_shared(url.clone()).expect("it is a URL");
            let channel = Channel::balance_list(urls.iter().map(endpoint));
            drop(guard);
            Box::new(move |calls| runtime.block_on(call_all(&channel, calls)))
        }
        Row::Evenhand => {
            let peers = evenhand_http::peers(urls).expect("they are base URLs");
            let transport = ServiceBuilder::new()
                .layer(AnswerErrorsLayer::grpc())
                .layer(KeepBodyLayer::new())
                .layer(evenhand_http::balance(peers))
                .service(PeerClient::new(evenhand_http::http2_client()));
            drop(guard);
            Box::new(move |calls| runtime.block_on(call_all(&transport, calls)))
        }
    }
}

async fn call_all<S>(transport: &S, calls: u64) -> u64
where
    S: GrpcService<Body, Future: Send> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + std::fmt::Debug,
    S::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let tasks = (0..TASKS).map(|_| {
        let mut client = HealthClient::new(transport.clone());
        tokio::spawn(async move {
            for _ in 0..calls / TASKS {
                let answer = client.check(HealthCheckRequest::default()).await;
                let answer = answer.expect("the servers are up").into_inner();
                assert_eq!(answer.status(), ServingStatus::Serving);
            }
            calls / TASKS
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("no task panics");
    }
    sum
}
