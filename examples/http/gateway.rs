//! A gateway: it hands requests on to one of three servers, and answers 503 with `Retry-After` where
//! none is left. One is killed and one hangs while it runs.
//!
//! ```text
//! cargo run --example http_gateway
//! ```

mod peers;

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use evenhand_http::evenhand::{Eject, Peers};
use evenhand_http::{
    AnswerErrorsLayer, BaseUrl, KeepBodyLayer, KeptBody, PeerClient, StripHopByHopLayer,
};
use http::header::{CONNECTION, RETRY_AFTER};
use http::{Request, Response};
use tower::{ServiceBuilder, ServiceExt};

use peers::Peer;

/// The gateway, as an axum router.
fn gateway(peers: Peers<BaseUrl>) -> Router {
    let stack = ServiceBuilder::new()
        // Headers of one connection are not handed on.
        .layer(StripHopByHopLayer)
        // With it the stack never fails, as a router asks for.
        .layer(AnswerErrorsLayer::http())
        .layer(KeepBodyLayer::new())
        .layer(
            evenhand_http::balance(peers)
                .attempt_timeout(Duration::from_millis(250))
                .eject(Eject::on_first().recheck_every(Duration::from_secs(5))),
        )
        .service(PeerClient::new(evenhand_http::client()));
    Router::new().fallback_service(stack)
}

const HOP: &str = "x-hop";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The servers send a header that is for the gateway alone.
    let answer = async || ([(CONNECTION.as_str(), HOP), (HOP, "7")], "hello");
    let router = Router::new().route("/", get(answer));
    let mut servers = Peer::start_three(&router)?;
    let gateway = gateway(evenhand_http::peers(servers.each_ref().map(Peer::url))?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, gateway).into_future());

    let client = evenhand_http::client::<http_body_util::Empty<bytes::Bytes>>();
    let ask = async || -> Result<Response<_>, Box<dyn Error>> {
        let request = Request::get(&url).body(KeptBody::default())?;
        Ok(client.clone().oneshot(request).await?)
    };
    for requests in [30, 60] {
        for _ in 0..requests {
            let response = ask().await?;
            if response.status() != 200 {
                return Err(format!("the gateway answered {}", response.status()).into());
            }
            if response.headers().contains_key(HOP) {
                return Err("a header of the server's connection was handed on".into());
            }
        }
        println!("{requests} requests were answered");
        // One is killed, one hangs.
        servers[0].kill();
        servers[1].hang();
    }

    servers[2].kill();
    let response = loop {
        let response = ask().await?;
        if response.status() == 503 {
            break response;
        }
    };
    let after = response
        .headers()
        .get(RETRY_AFTER)
        .ok_or("no `Retry-After`")?;
    println!("without a server: 503, `Retry-After: {}`", after.to_str()?);
    Ok(())
}
