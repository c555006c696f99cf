//! A layer above the balancer boxes the body.

use std::io;

use evenhand::{BalanceLayer, Once, PerPeer, Peers};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder};

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
    let balance = ServiceBuilder::new()
        .map_request(|Request(Unboxed): Request<Unboxed>| Request(Boxed))
        .layer(BalanceLayer::new(peers).replay(Once))
        .service(PerPeer);
    client(balance);
}
