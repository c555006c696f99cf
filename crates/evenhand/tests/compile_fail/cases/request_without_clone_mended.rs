//! A request that is not `Clone` gets one attempt.

use std::io;

use evenhand::{Attempt, BalanceLayer, Once, Peers};
use tower::service_fn;

struct Upload;

fn main() {
    let peers = Peers::new([("a", 1_u16)]).unwrap();
    let layer = BalanceLayer::new(peers).replay(Once);
    let _ = layer.service(service_fn(async |_: Attempt<u16, Upload>| Ok::<_, io::Error>(())));
}
