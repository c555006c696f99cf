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
use axum::body::Body;
use axum::routing::get;
use evenhand_http::evenhand::{Eject, Peers};
use evenhand_http::{AnswerErrorsLayer, BaseUrl, KeepBodyLayer, PeerClient};
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderName, Request, Response};
use tower::{ServiceBuilder, ServiceExt};

use peers::Peer;

/// The gateway, as an axum router.
fn gateway(peers: Peers<BaseUrl>) -> Router {
    let service = ServiceBuilder::new()
        .map_request(without_hop_by_hop)
        .layer(AnswerErrorsLayer::http())
        .layer(KeepBodyLayer::new())
        .layer(
            evenhand_http::balance(peers)
                .attempt_timeout(Duration::from_millis(250))
                .eject(Eject::on_first().recheck_every(Duration::from_secs(5))),
        )
        .service(PeerClient::new(evenhand_http::client()));
    Router::new().fallback(move |request: Request<Body>| {
        let service = service.clone();
        async move {
            match service.oneshot(request).await {
                Ok(response) => response.map(Body::new),
                // Only a service above the balancer could fail: errors of its own are answered.
                Err(error) => evenhand_http::unavailable(&error),
            }
        }
    })
}

/// Headers that are meant for the gateway alone (RFC 9110, section 7.6.1).
fn without_hop_by_hop(mut request: Request<Body>) -> Request<Body> {
    const FIXED: [&str; 5] = [
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let headers = request.headers_mut();
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    headers.remove(CONNECTION);
    named.iter().for_each(|name| drop(headers.remove(name)));
    FIXED.iter().for_each(|name| drop(headers.remove(*name)));
    request
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::new().route("/", get(async || "hello"));
    let mut servers = Peer::start_three(&router)?;
    let gateway = gateway(evenhand_http::peers(servers.each_ref().map(Peer::url))?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, gateway).into_future());

    let client = evenhand_http::client::<http_body_util::Empty<bytes::Bytes>>();
    let ask =
        async || -> Result<Response<_>, Box<dyn Error>> { Ok(client.get(url.parse()?).await?) };
    for requests in [30, 60] {
        for _ in 0..requests {
            let status = ask().await?.status();
            if status != 200 {
                return Err(format!("the gateway answered {status}").into());
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
