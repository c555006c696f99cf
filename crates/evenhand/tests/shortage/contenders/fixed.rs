//! Without a balancer: each client has one peer, and tries once.

use std::sync::Arc;

use super::Ask;
use crate::history::PEERS;
use crate::peers::Peers;

pub(super) fn fixed(peers: Arc<Peers>) -> Ask {
    Box::new(move |client| {
        let peers = peers.clone();
        Box::pin(async move { peers.ask(client % PEERS).await.is_ok() })
    })
}
