//! An HTTP client over three servers, of which one is killed and one hangs while it runs.
//!
//! ```text
//! cargo run --example http_client
//! ```

mod peers;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use evenhand_http::{KeepBodyLayer, PeerClient, PeerName, PeerNameLayer};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceBuilder, ServiceExt};

use peers::Peer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::new().route("/orders/{id}", get(async || "shipped"));
    let mut servers = Peer::start_three(&router)?;
    let peers = evenhand_http::peers(servers.each_ref().map(Peer::url))?;

    let client = ServiceBuilder::new()
        // Small bodies are kept, so that they can be sent to another peer.
        .layer(KeepBodyLayer::new())
        // A peer that sends no head within 250 ms has failed.
        .layer(evenhand_http::balance(peers.clone()).attempt_timeout(Duration::from_millis(250)))
        .layer(PeerNameLayer)
        .service(PeerClient::new(evenhand_http::client()));

    println!("three of three serve:");
    ask(&client, 60).await?;

    println!("one is killed, and one hangs:");
    servers[0].kill();
    servers[1].hang();
    ask(&client, 60).await?;
    println!("  {} of 3 is up", peers.up_count());

    println!("the last one is killed:");
    servers[2].kill();
    let request = Request::get("/orders/7").body(Full::<Bytes>::default())?;
    match client.oneshot(request).await {
        Err(error) => println!("  {error}"),
        Ok(_) => return Err("no peer is left".into()),
    }
    Ok(())
}

/// Sends requests one after the other. Each is to be answered.
async fn ask<S, B>(client: &S, requests: usize) -> Result<(), Box<dyn Error>>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    S::Error: Error + 'static,
    B: http_body::Body<Error: Error + 'static>,
{
    let mut counts = BTreeMap::<String, usize>::new();
    for id in 0..requests {
        let request = Request::get(format!("/orders/{id}")).body(Full::default())?;
        let response = client.clone().oneshot(request).await?;
        let Some(PeerName(peer)) = response.extensions().get().cloned() else {
            return Err("no peer is named".into());
        };
        let text = response.into_body().collect().await?.to_bytes();
        if text != "shipped" {
            return Err(format!("{peer} answered {text:?}").into());
        }
        *counts.entry(peer.to_string()).or_default() += 1;
    }
    for (peer, count) in counts {
        println!("  {count} by {peer}");
    }
    Ok(())
}
