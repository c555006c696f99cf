//! The peers of the examples: servers in this process that can be killed, and can hang.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use tokio::runtime::Runtime;

/// A server on a runtime of its own: when that ends, its connections end as those of a process that
/// is killed.
pub(crate) struct Peer {
    address: SocketAddr,
    hangs: Arc<AtomicBool>,
    runtime: Option<Runtime>,
}

impl Peer {
    /// Serves `router` by HTTP/1.1 and HTTP/2.
    pub(crate) fn start(router: Router) -> Result<Self, Box<dyn Error>> {
        let hangs = Arc::new(AtomicBool::new(false));
        let runtime = Runtime::new()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let flag = hangs.clone();
        let router = router.layer(from_fn(move |request: Request, next: Next| {
            let hangs = flag.load(Ordering::Relaxed);
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                next.run(request).await
            }
        }));
        let listener = {
            let _guard = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(axum::serve(listener, router).into_future());
        Ok(Self {
            address,
            hangs,
            runtime: Some(runtime),
        })
    }

    /// Three of them.
    pub(crate) fn start_three(router: &Router) -> Result<[Self; 3], Box<dyn Error>> {
        let start = || Self::start(router.clone());
        Ok([start()?, start()?, start()?])
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it accepts requests and answers none.
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::Relaxed);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}
