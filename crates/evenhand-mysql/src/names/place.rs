//! [`Place`]: which of the addresses of a host name its peer is at.
//!
//! A peer is at one address at a time: the first of its name's. It stays there for as long as the name has
//! that address and it can be reached. So an answer in another order, or with further addresses, moves
//! nothing.

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mysql_async::Opts;
use tokio::sync::OnceCell;

use super::resolver::Resolver;

pub(crate) struct Place {
    host: String,
    resolver: Resolver,
    known: Mutex<Known>,
    /// Set once an address is known; holds those that ask meanwhile, so that one looks it up for all.
    found: OnceCell<()>,
}

#[derive(Default)]
struct Known {
    addresses: Vec<IpAddr>,
    /// One of the addresses, once there are any.
    at: Option<IpAddr>,
}

/// A peer's move from one address to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
}

impl Place {
    /// Of a peer with these options; `None` if they give an address or a socket.
    pub(crate) fn of(opts: &Opts, resolver: Resolver) -> Option<Self> {
        let host = opts.ip_or_hostname();
        let is_given = opts.socket().is_some() || opts.resolved_ips().is_some();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if is_given || bare.parse::<IpAddr>().is_ok() {
            return None;
        }
        Some(Self {
            host: host.to_owned(),
            resolver,
            known: Mutex::default(),
            found: OnceCell::new(),
        })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether an address is known.
    pub(crate) fn is_found(&self) -> bool {
        self.found.initialized()
    }

    /// Where the peer is, if an address is known.
    pub(crate) fn at(&self) -> Option<IpAddr> {
        self.known().at
    }

    /// Whether the name has this address and no other.
    pub(crate) fn is_only(&self, address: IpAddr) -> bool {
        self.known().addresses == [address]
    }

    /// Whether the name has this address, as far as is known.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.known().addresses.contains(&address)
    }

    /// How many addresses the name has besides the peer's.
    pub(crate) fn others(&self) -> usize {
        self.known().addresses.len().saturating_sub(1)
    }

    /// Looks the name up if no address is known yet. The one that does tells `arrive`.
    pub(crate) async fn find(&self, arrive: impl FnOnce(IpAddr)) -> io::Result<()> {
        let first = || async {
            let addresses = self.resolver.look_up(&self.host).await?;
            let mut known = self.known();
            known.at = addresses.first().copied();
            known.addresses = addresses;
            if let Some(at) = known.at {
                arrive(at);
            }
            Ok(())
        };
        self.found.get_or_try_init(first).await.copied()
    }

    /// Looks the name up again. If it has not the peer's address any more, the peer moves to the first of its
    /// addresses, which `arrive` is told. A lookup that fails changes nothing.
    pub(crate) async fn look_up_again(
        &self,
        arrive: impl FnOnce(IpAddr),
    ) -> io::Result<Option<Move>> {
        let addresses = self.resolver.look_up(&self.host).await?;
        let mut known = self.known();
        let (from, first) = (known.at, addresses.first().copied());
        let stays = from.is_some_and(|from| addresses.contains(&from));
        known.addresses = addresses;
        Ok(match (from, first) {
            (Some(from), Some(to)) if !stays => {
                known.at = Some(to);
                arrive(to);
                Some(Move { from, to })
            }
            _ => None,
        })
    }

    /// The peer cannot be reached at `from`: moves it to the next address, if it is still there and the name
    /// has another one. `arrive` is told where.
    pub(crate) fn leave(&self, from: IpAddr, arrive: impl FnOnce(IpAddr)) {
        let mut known = self.known();
        if known.at != Some(from) {
            return;
        }
        let number = known.addresses.iter().position(|address| *address == from);
        let next = number.map_or(0, |number| number + 1) % known.addresses.len().max(1);
        if let Some(to) = known.addresses.get(next).copied().filter(|to| *to != from) {
            known.at = Some(to);
            arrive(to);
        }
    }

    /// Held while `arrive` runs, so that what it is told is told in the order of the moves.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn opts(url: &str) -> Opts {
        Opts::from_url(url).unwrap()
    }

    /// A place, and the answer to the next lookups: the last bytes of the addresses, or a failure.
    fn place() -> (Place, Arc<Mutex<Option<Vec<u8>>>>) {
        let answer: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
        let told = answer.clone();
        let resolver = Resolver::new(move |_| {
            let answer = told.lock().unwrap().clone();
            let answer = answer.ok_or(io::ErrorKind::NotFound.into());
            async { answer.map(|answer: Vec<u8>| answer.into_iter().map(ip).collect()) }
        });
        let place = Place::of(&opts("mysql://db.internal/d"), resolver).unwrap();
        (place, answer)
    }

    #[test]
    fn addresses_and_sockets_are_not_looked_up() {
        let given = |url: &str| Place::of(&opts(url), Resolver::system()).is_none();
        assert!(given("mysql://10.0.0.1/d"));
        assert!(given("mysql://[::1]/d"));
        assert!(given("mysql://h/d?socket=/s"));
        assert!(!given("mysql://h/d"));
        let resolved = mysql_async::OptsBuilder::from_opts(opts("mysql://h/d"));
        let resolved = resolved.resolved_ips(Some(vec![ip(1)])).into();
        assert!(Place::of(&resolved, Resolver::system()).is_none());
    }

    #[tokio::test]
    async fn peer_moves_only_where_its_address_has_left_the_name() {
        let (place, answer) = place();
        let answer_with = |list: &[u8]| *answer.lock().unwrap() = Some(list.to_vec());
        assert!(place.find(|_| ()).await.is_err());
        assert!(!place.is_found());
        answer_with(&[1, 2]);
        place.find(|_| ()).await.unwrap();
        assert_eq!((place.at(), place.others()), (Some(ip(1)), 1));
        for same in [&[2, 1][..], &[3, 2, 1], &[1]] {
            answer_with(same);
            let moved = place.look_up_again(|_| unreachable!()).await.unwrap();
            assert_eq!(moved, None);
            assert_eq!(place.at(), Some(ip(1)));
        }
        // Neither a failure nor an empty answer.
        answer_with(&[]);
        assert!(place.look_up_again(|_| unreachable!()).await.is_err());
        *answer.lock().unwrap() = None;
        assert!(place.look_up_again(|_| unreachable!()).await.is_err());
        assert_eq!(place.at(), Some(ip(1)));
        answer_with(&[3, 2]);
        let mut told = None;
        let moved = place.look_up_again(|to| told = Some(to)).await.unwrap();
        let (from, to) = (ip(1), ip(3));
        assert_eq!(moved, Some(Move { from, to }));
        assert_eq!((told, place.at()), (Some(to), Some(to)));
    }

    #[tokio::test]
    async fn peer_that_cannot_be_reached_goes_through_the_addresses() {
        let (place, answer) = place();
        *answer.lock().unwrap() = Some(vec![1, 2, 3]);
        place.find(|_| ()).await.unwrap();
        for (from, to) in [(1, 2), (2, 3), (3, 1)] {
            let mut told = None;
            place.leave(ip(from), |to| told = Some(to));
            assert_eq!(told, Some(ip(to)));
        }
        // Another one has been faster.
        place.leave(ip(2), |_| unreachable!("it has moved"));
        *answer.lock().unwrap() = Some(vec![1]);
        place.look_up_again(|_| unreachable!()).await.unwrap();
        place.leave(ip(1), |_| unreachable!("there is no other"));
    }
}
