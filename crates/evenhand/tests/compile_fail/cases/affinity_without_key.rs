//! Affinity, where no key is named.
//~ `Affinity` cannot pick peers without a key
//~ `BalanceLayer::pick_by`

use std::io;

use evenhand::{Affinity, Attempt, BalanceLayer, Peers};
use tower::service_fn;

fn main() {
    let echo = service_fn(async |attempt: Attempt<u16, String>| Ok::<_, io::Error>(attempt.request));
    let peers = Peers::new([("a", 1), ("b", 2)]).unwrap();
    let _ = BalanceLayer::new(peers).pick(Affinity).service(echo);
}
