//! A classifier of other outcomes than the connector's.
//~ cannot judge outcomes of type `Result<&String, &std::io::Error>`
//~ give a closure its type

use std::fmt;
use std::io;

use evenhand::{Attempt, BalanceLayer, Peers, Verdict};
use tower::service_fn;

fn main() {
    let peers = Peers::new([("a", 1_u16), ("b", 2)]).unwrap();
    let layer = BalanceLayer::new(peers)
        .classify(|_: Result<&String, &fmt::Error>| Verdict::healthy());
    let _ = layer.service(service_fn(async |attempt: Attempt<u16, String>| {
        Ok::<_, io::Error>(attempt.request)
    }));
}
