//! The connector gives the closure its type; or the closure's maker does.

use std::io;

use evenhand::{Attempt, BalanceLayer, Peers, Verdict, classify_fn};
use tower::service_fn;

fn main() {
    let peers = Peers::new([("a", 1_u16), ("b", 2)]).unwrap();
    let connector = service_fn(async |attempt: Attempt<u16, String>| {
        Ok::<_, io::Error>(attempt.request)
    });
    let _ = BalanceLayer::new(peers.clone()).service_classified_by(connector, |outcome| {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Verdict::down().safe()
            }
            _ => Verdict::healthy(),
        }
    });
    let classify = classify_fn::<String, io::Error, _>(|outcome| match outcome {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Verdict::down().safe(),
        _ => Verdict::healthy(),
    });
    let _ = BalanceLayer::new(peers).classify(classify).service(connector);
}
