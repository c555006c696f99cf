//! A boxed service that threads cannot share, as a peer.
//~ is no peer's target, as threads cannot share it
//~ `BoxCloneSyncService`

use std::io;

use evenhand::{BalanceLayer, PerPeer, Peers};
use tower::util::BoxCloneService;
use tower::service_fn;

fn main() {
    let echo = || BoxCloneService::new(service_fn(async |text: String| Ok::<_, io::Error>(text)));
    let peers = Peers::new([("a", echo()), ("b", echo())]).unwrap();
    let _ = BalanceLayer::new(peers).service::<_, String>(PerPeer);
}
