//! A classifier that is none.
//~ cannot judge outcomes of type
//~ give a closure its type

use std::io;

use evenhand::{Attempt, BalanceLayer, Peers};
use tower::service_fn;

#[derive(Clone)]
struct Judge;

fn main() {
    let peers = Peers::new([("a", 1_u16), ("b", 2)]).unwrap();
    let layer = BalanceLayer::new(peers).classify(Judge);
    let _ = layer.service(service_fn(async |attempt: Attempt<u16, String>| {
        Ok::<_, io::Error>(attempt.request)
    }));
}
