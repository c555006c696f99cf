//! Affinity by a key of the request.

use std::io;

use evenhand::{Affinity, Attempt, BalanceLayer, Peers};
use tower::{ServiceExt, service_fn};

fn main() {
    let echo = service_fn(async |attempt: Attempt<u16, String>| Ok::<_, io::Error>(attempt.request));
    let peers = Peers::new([("a", 1), ("b", 2)]).unwrap();
    let balance = BalanceLayer::new(peers)
        .pick_by(|request: &String| request.len(), Affinity)
        .service(echo);
    drop(balance.oneshot("hello".to_owned()));
}
