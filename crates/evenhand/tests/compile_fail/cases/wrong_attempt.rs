//! A connector over the request in place of an attempt.
//~ fn(Attempt<u16, String>)
//~ fn(String)

use std::io;

use evenhand::{BalanceLayer, Peers};
use tower::service_fn;

fn main() {
    let peers = Peers::new([("a", 1_u16)]).unwrap();
    let _ = BalanceLayer::new(peers).service::<_, String>(service_fn(async |request: String| {
        Ok::<_, io::Error>(request)
    }));
}
