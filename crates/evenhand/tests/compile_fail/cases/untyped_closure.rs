//! A closure that nothing gives a type.
//~ error[E0282]: type annotations needed

use std::io;

use evenhand::{Attempt, BalanceLayer, Peers, Verdict};
use tower::service_fn;

fn main() {
    let peers = Peers::new([("a", 1_u16), ("b", 2)]).unwrap();
    let layer = BalanceLayer::new(peers).classify(|outcome| match outcome {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Verdict::down().safe(),
        _ => Verdict::healthy(),
    });
    let _ = layer.service(service_fn(async |attempt: Attempt<u16, String>| {
        Ok::<_, io::Error>(attempt.request)
    }));
}
