//! Peers that are given by host names.

#[cfg(feature = "dns")]
mod dns;
mod left;
mod moves;
mod servers;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenhand_mysql::{PoolOptions, Resolver};
use evenhand_testkit::FakeMySql;

use crate::common::{soon, until};

/// What the names are at the moment: every name has these addresses, or cannot be looked up.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Told>);

#[derive(Default)]
struct Told {
    addresses: Mutex<Option<Vec<IpAddr>>>,
    lookups: AtomicUsize,
}

impl Names {
    /// The last numbers of addresses in 127.0.0.0/24.
    pub(crate) fn are(&self, addresses: &[u8]) {
        let addresses = addresses.iter().map(|last| ip(*last)).collect();
        *self.0.addresses.lock().unwrap() = Some(addresses);
    }

    fn fail(&self) {
        *self.0.addresses.lock().unwrap() = None;
    }

    fn lookups(&self) -> usize {
        self.0.lookups.load(Ordering::SeqCst)
    }

    /// What was asked for before this, and once more, has been answered.
    async fn are_looked_up_again(&self) {
        let before = self.lookups();
        until("looked up again", || self.lookups() >= before + 2).await;
    }

    /// The options, with these names, which are looked up every 20 ms.
    pub(crate) fn known_to(&self, options: PoolOptions) -> PoolOptions {
        let told = self.0.clone();
        let resolver = Resolver::new(move |_| {
            let addresses = told.addresses.lock().unwrap().clone();
            told.lookups.fetch_add(1, Ordering::SeqCst);
            async { addresses.ok_or_else(|| io::ErrorKind::NotFound.into()) }
        });
        options
            .resolver(resolver)
            .name_lookup_interval(Duration::from_millis(20))
    }
}

fn ip(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

/// Doubles at 127.0.0.1, 127.0.0.2 and so on, all on one port.
pub(crate) async fn at_one_port<const N: usize>() -> [FakeMySql; N] {
    let start = async {
        'other_port: loop {
            let mut fakes: Vec<FakeMySql> = Vec::new();
            for last in 1..=N {
                let port = fakes.first().map_or(0, FakeMySql::port);
                let addr = SocketAddr::new(ip(u8::try_from(last).unwrap()), port);
                match FakeMySql::builder().addr(addr).start().await {
                    Ok(fake) => fakes.push(fake),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue 'other_port,
                    Err(error) => panic!("{error}"),
                }
            }
            return fakes;
        }
    };
    soon(start).await.try_into().ok().unwrap()
}
