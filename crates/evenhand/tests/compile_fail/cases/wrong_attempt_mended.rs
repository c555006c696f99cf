//! A connector over attempts.

use std::io;

use evenhand::{Attempt, BalanceLayer, Peers};
use tower::service_fn;

fn main() {
    let peers = Peers::new([("a", 1_u16)]).unwrap();
    let _ = BalanceLayer::new(peers).service(service_fn(async |attempt: Attempt<u16, String>| {
        Ok::<_, io::Error>(attempt.request)
    }));
}
