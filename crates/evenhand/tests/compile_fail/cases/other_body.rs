//! Peers that take requests with one type of body, and a caller with another, as a tonic client has
//! whose body was not boxed.
//~ is no connector that sends a `Request<Unboxed>` to a peer of type
//~ each peer must be a cloneable `Service<Request<Unboxed>>`

use std::io;

use evenhand::{BalanceLayer, Once, PerPeer, Peers};
use tower::Service;
use tower::util::BoxCloneSyncService;

struct Request<Body>(Body);
struct Unboxed;
struct Boxed;

/// As a generated client takes its transport.
fn client<S: Service<Request<Unboxed>>>(_: S) {}

fn main() {
    let echo = tower::service_fn(async |request: Request<Boxed>| {
        let Request(_) = request;
        Ok::<_, io::Error>(())
    });
    let peers = Peers::new([("a", BoxCloneSyncService::new(echo))]).unwrap();
    client(BalanceLayer::new(peers).replay(Once).service(PerPeer));
}
