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
/// [`KeepBodyLayer`](crate::KeepBodyLayer).
pub fn balance(peers: Peers<BaseUrl>) -> BalanceLayer<BaseUrl, Rules<HttpClassifier, HttpReplay>> {
    BalanceLayer::new(peers)
        .classify(HttpClassifier::new())
        .replay(HttpReplay::new())
        .ticket_timeout(DEFAULT_BODY_TIMEOUT)
}
