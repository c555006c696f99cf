//! What a balancer asks of its connector and of its peers' targets.

use tower_service::Service;

use super::Attempt;

/// A connector: a cloneable `Service<Attempt<Target, Request>>`, which sends a request to the peer that
/// was picked. Implemented for every such service; there is nothing else to implement.
///
/// A bound by this name makes the compiler say what a service lacks to be a connector.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no connector that sends a `{Request}` to a peer of type `{Target}`",
    label = "no cloneable `Service<Attempt<{Target}, {Request}>>`",
    note = "a connector takes an `Attempt`, which has the request and the peer: `service_fn(async |attempt: Attempt<{Target}, {Request}>| ..)`",
    note = "where the peers are services, `PerPeer` is the connector, and each peer must be a cloneable `Service<{Request}>`"
)]
pub trait Connect<Target, Request>: Service<Attempt<Target, Request>> + Clone {}

#[diagnostic::do_not_recommend]
impl<Connector, Target, Request> Connect<Target, Request> for Connector where
    Connector: Service<Attempt<Target, Request>> + Clone
{
}

/// What a peer's target must be for a balancer: threads can share it, and it borrows nothing. Implemented
/// for every such type; there is nothing to implement.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no peer's target, as threads cannot share it",
    label = "not `Send + Sync + 'static`",
    note = "a boxed service that threads can share is tower's `BoxCloneSyncService`"
)]
pub trait PeerTarget: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<Target: Send + Sync + 'static> PeerTarget for Target {}
