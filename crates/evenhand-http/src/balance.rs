//! The balancer's settings for HTTP.

use std::time::Duration;

use evenhand::{BalanceLayer, Peers, Rules};

use crate::base_url::BaseUrl;
use crate::classify::HttpClassifier;
use crate::replay::HttpReplay;

/// How long the end of a response's body is waited for before its head counts: 10 s.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A [`BalanceLayer`] over HTTP: with [`HttpClassifier`], [`HttpReplay`], and
/// [`DEFAULT_BODY_TIMEOUT`] as its [`ticket_timeout`](BalanceLayer::ticket_timeout). All other settings
/// are the layer's own. Another classifier is for heads: trailers are judged by that of
/// [`PeerClient::classifier`](crate::PeerClient::classifier).
///
/// Below it goes a connector such as [`PeerClient`](crate::PeerClient), above it
/// [`KeepBodyLayer`](crate::KeepBodyLayer). Set an
/// [`attempt_timeout`](BalanceLayer::attempt_timeout): without it a peer that hangs is never found.
///
/// # Requests of one key to one peer
///
/// The key is a header here. Requests without it are of one key, too.
///
/// ```
/// use bytes::Bytes;
/// use evenhand_http::KeptBody;
/// use evenhand_http::evenhand::Affinity;
/// use http::Request;
/// use http_body_util::Full;
///
/// # fn run() -> Result<(), evenhand_http::InvalidPeers> {
/// let peers = evenhand_http::peers(["http://10.0.0.1:8080", "http://10.0.0.2:8080"])?;
/// // A `KeepBodyLayer` goes above, so the body is a kept one.
/// type Asked = Request<KeptBody<Full<Bytes>>>;
/// let tenant = |request: &Asked| request.headers().get("x-tenant").cloned();
/// let layer = evenhand_http::balance(peers).pick_by(tenant, Affinity);
/// # Ok(()) }
/// ```
pub fn balance(peers: Peers<BaseUrl>) -> BalanceLayer<BaseUrl, Rules<HttpClassifier, HttpReplay>> {
    BalanceLayer::new(peers)
        .classify(HttpClassifier::new())
        .replay(HttpReplay::new())
        .ticket_timeout(DEFAULT_BODY_TIMEOUT)
}
