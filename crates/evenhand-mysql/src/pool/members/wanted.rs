//! Which peers a pool is to have, given the members of its cluster and its seeds.

use std::net::IpAddr;
use std::sync::Arc;

use evenhand_config::HostPort;
use mysql_async::{Opts, OptsBuilder};

use crate::membership::{Membership, port_of};
use crate::peer::{Endpoint, NamedEndpoint};

/// A member as a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: Arc<str>,
    pub(super) address: HostPort,
    /// The seed that is this member.
    pub(super) seed: Option<usize>,
}

/// Each member once, by the name of the seed that it is, or by its address.
pub(super) fn wanted(members: &[HostPort], seeds: &[NamedEndpoint]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for address in members {
        let seed = seeds.iter().position(|(_, seed)| is_at(seed, address));
        let name = match seed {
            Some(seed) => seeds[seed].0.clone(),
            None => address.to_string().into(),
        };
        if wanted.iter().all(|other| other.name != name) {
            wanted.push(Wanted {
                name,
                address: address.clone(),
                seed,
            });
        }
    }
    wanted
}

/// Adds those whose name the list has not yet. Of those that leave, two may have one name.
pub(super) fn add_others(
    list: &mut Vec<NamedEndpoint>,
    others: impl IntoIterator<Item = NamedEndpoint>,
) {
    for (name, endpoint) in others {
        if list.iter().all(|(other, _)| *other != name) {
            list.push((name, endpoint));
        }
    }
}

/// Whether a seed is a member: it has the same port, and the same host or the one address of its host. A name
/// with several addresses may be any of them, so it is none.
fn is_at(seed: &Endpoint, member: &HostPort) -> bool {
    let opts = seed.opts();
    let host = opts.ip_or_hostname();
    let is_host = host.eq_ignore_ascii_case(member.host());
    let ip: Option<IpAddr> = member.host().parse().ok();
    let is_address = ip.is_some_and(|ip| {
        let same = host.parse().ok() == Some(ip);
        same || seed.place.as_ref().is_some_and(|place| place.is_only(ip))
    });
    opts.socket().is_none() && opts.tcp_port() == port_of(member) && (is_host || is_address)
}

/// The options of the first seed, for this member.
pub(super) fn opts(seed: &Opts, member: &HostPort, membership: &Membership) -> Opts {
    let host = member.host();
    let is_ip = |host: &str| host.parse::<IpAddr>().is_ok();
    let opts = OptsBuilder::from_opts(seed.clone())
        .ip_or_hostname(host)
        .tcp_port(port_of(member))
        .resolved_ips(None::<Vec<IpAddr>>)
        .socket(None::<String>);
    let Some(tls) = seed.ssl_opts() else {
        return opts.into();
    };
    let seeds_host = seed.ip_or_hostname();
    let of_seed =
        (is_ip(host) && !is_ip(seeds_host.trim_matches(['[', ']']))).then(|| seeds_host.to_owned());
    let given = membership.tls_name.clone();
    let kept = tls.tls_hostname_override().map(str::to_owned);
    let name = given.or(kept).or(of_seed);
    let tls = tls.clone().with_danger_tls_hostname_override(name);
    opts.ssl_opts(tls).into()
}

#[cfg(test)]
mod tests {
    use mysql_async::SslOpts;

    use super::*;
    use crate::names::resolver::Resolver;
    use crate::options::PoolOptions;

    fn at(text: &str) -> HostPort {
        text.parse().unwrap()
    }

    async fn seeds(urls: &[&str], names_are: &[u8]) -> Vec<NamedEndpoint> {
        let names_are: Vec<IpAddr> = names_are.iter().map(|n| [10, 0, 0, *n].into()).collect();
        let resolver = Resolver::new(move |_| {
            let names_are = names_are.clone();
            async { Ok(names_are) }
        });
        let options = PoolOptions::new().resolver(resolver);
        let named = urls
            .iter()
            .enumerate()
            .map(|(n, url)| (format!("seed{n}"), *url));
        let seeds = Endpoint::all(named, &options).unwrap();
        for (_, seed) in &seeds {
            seed.find().await.unwrap();
        }
        seeds
    }

    fn names(members: &[&str], seeds: &[NamedEndpoint]) -> Vec<String> {
        let members: Vec<HostPort> = members.iter().map(|member| at(member)).collect();
        let wanted = wanted(&members, seeds);
        wanted
            .iter()
            .map(|wanted| wanted.name.to_string())
            .collect()
    }

    #[tokio::test]
    async fn seed_that_is_a_member_is_one_peer_by_its_own_name() {
        let urls = [
            "mysql://10.0.0.1/d",
            "mysql://db.internal:3307/d",
            "mysql://10.0.0.9/d",
        ];
        let one = seeds(&urls, &[2]).await;
        let members = [
            "10.0.0.1:3306",
            "10.0.0.2:3307",
            "10.0.0.3:3306",
            "10.0.0.3:3306",
        ];
        assert_eq!(names(&members, &one), ["seed0", "seed1", "10.0.0.3:3306"]);
        // Another port is another server.
        assert_eq!(names(&["10.0.0.1:3307"], &one), ["10.0.0.1:3307"]);
        assert_eq!(names(&["DB.internal:3307"], &one), ["seed1"]);
        // A name of several servers is none of them.
        let two = seeds(&urls, &[2, 3]).await;
        assert_eq!(names(&["10.0.0.2:3307"], &two), ["10.0.0.2:3307"]);
    }

    #[tokio::test]
    async fn each_name_is_added_once() {
        let two = seeds(&["mysql://10.0.0.1/d", "mysql://10.0.0.2/d"], &[]).await;
        let (one, other) = (two[0].clone(), two[1].clone());
        let twin = (other.0.clone(), one.1.clone());
        let mut list = vec![one.clone()];
        add_others(&mut list, [other.clone(), twin, one.clone()]);
        assert_eq!(list, [one, other]);
    }

    #[test]
    fn members_have_the_options_of_the_first_seed() {
        let url = "mysql://u:p@db.internal:3307/d?pool_max=7&pool_min=3&socket=/s";
        let seed = OptsBuilder::from_opts(Opts::from_url(url).unwrap());
        let plain: Opts = seed.clone().into();
        let membership = Membership::galera();
        let member = opts(&plain, &at("10.0.0.2:3308"), &membership);
        assert_eq!(
            (member.ip_or_hostname(), member.tcp_port()),
            ("10.0.0.2", 3308)
        );
        assert_eq!(
            (member.user(), member.pass(), member.db_name()),
            (Some("u"), Some("p"), Some("d"))
        );
        assert_eq!(member.pool_opts().constraints().max(), 7);
        assert_eq!((member.socket(), member.ssl_opts()), (None, None));

        let seed: Opts = seed.ssl_opts(SslOpts::default()).into();
        let tls_name = |seed: &Opts, member: &str, membership: &Membership| {
            let opts = opts(seed, &at(member), membership);
            let tls = opts.ssl_opts().unwrap();
            tls.tls_hostname_override().map(str::to_owned)
        };
        let of_seed = tls_name(&seed, "10.0.0.2", &membership);
        assert_eq!(of_seed.as_deref(), Some("db.internal"));
        assert_eq!(tls_name(&seed, "db2.internal", &membership), None);
        let own = Membership::galera().tls_name("db.example".to_owned());
        for member in ["10.0.0.2", "db2.internal"] {
            assert_eq!(tls_name(&seed, member, &own).as_deref(), Some("db.example"));
        }
        let by_address = OptsBuilder::from_opts(seed).ip_or_hostname("10.0.0.1");
        assert_eq!(tls_name(&by_address.into(), "10.0.0.2", &membership), None);
    }
}
