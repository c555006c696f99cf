//! A boxed service that threads can share.

use std::io;

use evenhand::{BalanceLayer, PerPeer, Peers};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

fn main() {
    let echo = || BoxCloneSyncService::new(service_fn(async |text: String| Ok::<_, io::Error>(text)));
    let peers = Peers::new([("a", echo()), ("b", echo())]).unwrap();
    let balance = BalanceLayer::new(peers).service(PerPeer);
    drop(balance.oneshot("hello".to_owned()));
}
