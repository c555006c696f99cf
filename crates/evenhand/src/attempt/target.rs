//! What a balancer asks of its peers' targets.

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
