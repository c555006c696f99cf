//! A tonic client over three servers: unary calls and a stream from the server. One server is killed
//! and one hangs while it runs.
//!
//! ```text
//! cargo run --example grpc_client
//! ```
//!
//! The service is gRPC's own health service, which has a unary call, `Check`, and a streaming one,
//! `Watch`.

mod peers;

use std::error::Error;
use std::time::Duration;

use axum::Router;
use evenhand_http::{AnswerErrorsLayer, Idempotent, KeepBodyLayer, PeerClient};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use peers::Peer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let router = Router::new().route_service("/grpc.health.v1.Health/{call}", health);
    let mut servers = Peer::start_three(&router)?;
    let peers = evenhand_http::peers(servers.each_ref().map(Peer::url))?;

    let transport = ServiceBuilder::new()
        // With every peer out, callers see `Unavailable`.
        .layer(AnswerErrorsLayer::grpc())
        .layer(KeepBodyLayer::new())
        .layer(evenhand_http::balance(peers.clone()).attempt_timeout(Duration::from_millis(250)))
        .service(PeerClient::new(evenhand_http::http2_client()));
    let mut client = HealthClient::new(transport);

    println!("three of three serve:");
    for _ in 0..30 {
        client.check(idempotent()).await?;
    }
    let mut streams = Vec::new();
    for _ in 0..6 {
        let mut stream = client.watch(idempotent()).await?.into_inner();
        stream.message().await?;
        streams.push(stream);
    }
    let in_flight = || -> u32 { peers.statuses().iter().map(|status| status.in_flight).sum() };
    println!("  30 calls, and {} streams in flight", in_flight());

    println!("one is killed, and one hangs:");
    servers[0].kill();
    servers[1].hang();
    for _ in 0..60 {
        client.check(idempotent()).await?;
    }
    println!("  60 calls; {} of 3 is up", peers.up_count());
    // A stream that had begun ends with its peer. The caller begins another one.
    for stream in &mut streams {
        let waited = tokio::time::timeout(Duration::from_millis(50), stream.message());
        if let Ok(Err(status)) = waited.await {
            *stream = client.watch(idempotent()).await?.into_inner();
            stream.message().await?;
            println!(
                "  a stream that ended with {:?} goes on elsewhere",
                status.code()
            );
        }
    }

    println!("the last one is killed:");
    servers[2].kill();
    match client.check(idempotent()).await {
        Err(status) => println!("  {:?}: {}", status.code(), status.message()),
        Ok(_) => return Err("no peer is left".into()),
    }
    Ok(())
}

/// To ask twice does no harm. All calls of gRPC are POST, so it has to be said.
fn idempotent() -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.extensions_mut().insert(Idempotent(true));
    request
}
