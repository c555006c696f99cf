//! Errors in a box, which is no error, below the balancer.
//~ put a `BoxErrorsLayer` below the balancer

use std::error::Error;
use std::io;
use std::time::Duration;

use evenhand::{Attempt, BalanceLayer, Peers};
use tower::timeout::TimeoutLayer;
use tower::{ServiceBuilder, ServiceExt, service_fn};

async fn ask(peers: Peers<u16>) -> Result<String, Box<dyn Error>> {
    let balance = ServiceBuilder::new()
        .layer(BalanceLayer::new(peers))
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .service(service_fn(async |attempt: Attempt<u16, String>| {
            Ok::<_, io::Error>(attempt.request)
        }));
    Ok(balance.oneshot("hello".to_owned()).await?)
}

fn main() {
    drop(ask(Peers::new([("a", 1)]).unwrap()));
}
