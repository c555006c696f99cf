//! TLS in front of a peer, with certificates made for the test.

use std::sync::Arc;

use evenhand_http::{BaseUrl, KeptBody};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::peer::Peer;
use super::{Http, TestBody};

pub(crate) type TlsClient = Client<HttpsConnector<HttpConnector>, KeptBody<TestBody>>;

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A client that trusts this authority alone.
    pub(crate) fn client(&self, http: Http) -> TlsClient {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only();
        let connector = match http {
            Http::One => connector.enable_http1().build(),
            Http::Two => connector.enable_http2().build(),
        };
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .http2_only(http == Http::Two)
            .build(connector)
    }

    /// A server's configuration, with a certificate for this name.
    fn server(&self, name: &str) -> ServerConfig {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate: CertificateDer<'static> =
            params.signed_by(&key, &self.0).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
        config
    }
}

/// Takes TLS off, and hands the rest on to a peer.
pub(crate) struct TlsFront {
    port: u16,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// With a certificate that this authority signed for this name.
    pub(crate) async fn start(peer: &Peer, authority: &Authority, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(name)));
        let address = peer.base_url().authority().to_string();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, address) = (acceptor.clone(), address.clone());
                connections.spawn(async move {
                    let mut outer = acceptor.accept(socket).await.ok()?;
                    let mut inner = TcpStream::connect(address).await.ok()?;
                    copy_bidirectional(&mut outer, &mut inner).await.ok()
                });
            }
        });
        Self { port, task }
    }

    pub(crate) fn base_url(&self) -> BaseUrl {
        format!("https://localhost:{}", self.port).parse().unwrap()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}
