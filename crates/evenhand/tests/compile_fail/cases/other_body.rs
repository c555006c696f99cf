//! Peers that take requests with one type of body, and a caller with another, as a tonic client has
//! whose body was not boxed.
//~ Service<Request<Unboxed>>
//~ BoxCloneSyncService<Request<Boxed>
//~ PerPeer

use std::io;

use evenhand::{BalanceLayer, Once, PerPeer, Peers};
use tower::util::BoxCloneSyncService;

struct Request<Body>(Body);
struct Unboxed;
struct Boxed;

fn main() {
    let echo = tower::service_fn(async |request: Request<Boxed>| {
        let Request(_) = request;
        Ok::<_, io::Error>(())
    });
    let peers = Peers::new([("a", BoxCloneSyncService::new(echo))]).unwrap();
    let _ = BalanceLayer::new(peers)
        .replay(Once)
        .service::<_, Request<Unboxed>>(PerPeer);
}
