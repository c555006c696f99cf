//! A connector over the request in place of an attempt.
//~ is no connector that sends a
//~ a connector takes an `Attempt`, which has the request and the peer

use std::io;

use evenhand::{BalanceLayer, Peers};
use tower::service_fn;

fn main() {
    let peers = Peers::new([("a", 1_u16)]).unwrap();
    let _ = BalanceLayer::new(peers).service::<_, String>(service_fn(async |request: String| {
        Ok::<_, io::Error>(request)
    }));
}
