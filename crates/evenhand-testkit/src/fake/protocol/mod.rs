//! MySQL's protocol: `wire` carries packets over a socket, the others make and read their bodies.

pub(super) mod login;
pub(super) mod packets;
pub(super) mod prepared;
pub(super) mod rows;
pub(super) mod wire;
