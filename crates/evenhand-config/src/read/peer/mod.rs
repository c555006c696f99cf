//! What a peer sets and inherits: its address, login, connections and TLS. Knows how values are read, and
//! nothing of balanced databases.

mod address;
mod inherited;
mod keys;
mod mysql_url;
mod partial_peer;
mod password;
mod tls;

pub(super) use self::inherited::Inherited;
pub(super) use self::partial_peer::PartialPeer;
