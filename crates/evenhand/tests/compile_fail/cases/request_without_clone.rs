//! A request that is not `Clone`, with the default `Replay`.
//~ cannot copy requests of type `Upload`
//~ `Once`, with which each request gets one attempt

use std::io;

use evenhand::{Attempt, BalanceLayer, Peers};
use tower::service_fn;

struct Upload;

fn main() {
    let peers = Peers::new([("a", 1_u16)]).unwrap();
    let _ = BalanceLayer::new(peers).service(service_fn(async |_: Attempt<u16, Upload>| {
        Ok::<_, io::Error>(())
    }));
}
