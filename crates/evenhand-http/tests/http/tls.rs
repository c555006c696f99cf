use evenhand::{Peers, State};
use evenhand_http::{KeepBodyLayer, PeerClient};
use tower::{Layer, ServiceExt};

use crate::common::peer::{Mode, Peer};
use crate::common::tls::{Authority, TlsFront};
use crate::common::*;

/// One certificate is signed by an authority that the client does not trust, and one is for another name.
/// Both peers would serve, but no request is sent to them.
#[tokio::test]
async fn peers_whose_certificates_do_not_hold_get_no_request_and_others_serve() {
    let (trusted, other) = (Authority::new(), Authority::new());
    for http in BOTH {
        let peers = Peer::start_all::<3>(Mode::Serve).await;
        let fronts = [
            TlsFront::start(&peers[0], &other, "localhost").await,
            TlsFront::start(&peers[1], &trusted, "elsewhere.example").await,
            TlsFront::start(&peers[2], &trusted, "localhost").await,
        ];
        let names = ["untrusted", "misnamed", "good"].into_iter();
        let set = Peers::new(names.zip(fronts.each_ref().map(TlsFront::base_url))).unwrap();
        let connector = PeerClient::new(trusted.client(http));
        let client = KeepBodyLayer::new().layer(balance(&set).layer(connector));
        for _ in 0..30 {
            let answer = client.clone().oneshot(request("POST", "/", "x"));
            let answer = tokio::time::timeout(GUARD, answer).await.unwrap().unwrap();
            assert!(text(answer).await.unwrap().starts_with("POST / localhost:"));
        }
        let expected = [State::Ejected, State::Ejected, State::Up];
        assert_eq!(states(&set), expected, "{http:?}");
        for status in &set.statuses()[..2] {
            assert_eq!(status.last_reason, Some("the TLS handshake failed"));
        }
        assert_eq!(peers.each_ref().map(Peer::requests), [0, 0, 30], "{http:?}");
    }
}
