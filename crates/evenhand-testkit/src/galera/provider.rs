//! The provider: where its library is, how it is set up, and the ports that a node needs for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::error::GaleraError;
use crate::mariadb::Maker;
use crate::mariadb::program::Program;
use crate::port::ReservedPort;

/// Where packages put it; `scripts/test.sh` looks there, too.
const LIBRARIES: [&str; 10] = [
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib/galera-4/libgalera_smm.so",
    "/usr/lib/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
    "/usr/lib64/libgalera_smm.so",
    "/usr/local/lib/galera-4/libgalera_smm.so",
    "/usr/local/lib/galera/libgalera_smm.so",
    "/usr/local/lib/libgalera_smm.so",
    "/opt/homebrew/lib/libgalera_smm.dylib",
];

/// For tests: clusters small enough to be quick, and timeouts that let a busy machine with two
/// cores miss a beat or two without losing a node. `gmcast.time_wait` is how long a node that was
/// put out may not come back.
const OPTIONS: [&str; 11] = [
    "evs.keepalive_period=PT0.1S",
    "evs.inactive_check_period=PT0.1S",
    "evs.join_retrans_period=PT0.1S",
    "evs.suspect_timeout=PT2S",
    "evs.inactive_timeout=PT4S",
    "evs.install_timeout=PT2S",
    "pc.announce_timeout=PT0.5S",
    "pc.wait_prim_timeout=PT10S",
    "gmcast.time_wait=PT0.5S",
    "gcache.size=8M",
    "gcache.page_size=1M",
];

/// A node's ports for other nodes.
#[derive(Debug)]
pub(super) struct Ports {
    /// For the group's messages.
    group: ReservedPort,
    /// Where it receives what it missed (IST).
    missed: ReservedPort,
    /// Where it receives all data (SST).
    all: ReservedPort,
}

impl Ports {
    pub(super) fn reserve() -> Result<Ports, GaleraError> {
        let any = || ReservedPort::any().map_err(GaleraError::io("find a free port on 127.0.0.1"));
        Ok(Ports {
            group: any()?,
            missed: any()?,
            all: any()?,
        })
    }

    pub(super) fn group(&self) -> SocketAddr {
        self.group.addr()
    }
}

/// Looks for the provider's library: with the server that the tests run on, if it is one that was
/// named, or where packages put it.
pub(super) fn find() -> Result<PathBuf, GaleraError> {
    const OWN: [&str; 4] = [
        "lib/galera/libgalera_smm.so",
        "lib/galera-4/libgalera_smm.so",
        "lib64/galera-4/libgalera_smm.so",
        "lib/libgalera_smm.so",
    ];
    let server = Program::find(Some(Maker::MariaDb)).map_err(GaleraError::of("a node"))?;
    server.beside(&OWN).map_or_else(|| first_of(&LIBRARIES), Ok)
}

fn first_of(places: &[&str]) -> Result<PathBuf, GaleraError> {
    places
        .iter()
        .map(PathBuf::from)
        .find(|place| place.is_file())
        .ok_or_else(|| GaleraError::MissingProvider {
            places: places.join(", "),
        })
}

/// What makes a `mariadbd` this node, whichever cluster it joins.
pub(super) fn args(library: &Path, name: &str, ports: &Ports, more: &[String]) -> Vec<String> {
    let (group, missed, all) = (ports.group.addr(), ports.missed.addr(), ports.all.addr());
    let mut options = vec![
        format!("base_host={}", group.ip()),
        format!("base_port={}", group.port()),
        format!("gmcast.listen_addr=tcp://{group}"),
        format!("ist.recv_addr={missed}"),
        format!("ist.recv_bind={missed}"),
    ];
    options.extend(OPTIONS.map(str::to_owned));
    options.extend_from_slice(more);
    vec![
        "--wsrep-on=ON".to_owned(),
        // Newer servers have a plugin that makes a variable of each option, which then cannot be
        // set in any other way; and it makes none of `gmcast.isolate`.
        "--loose-plugin-wsrep-provider=OFF".to_owned(),
        format!("--wsrep-provider={}", library.display()),
        "--wsrep-cluster-name=evenhand".to_owned(),
        format!("--wsrep-node-name={name}"),
        format!("--wsrep-node-address={group}"),
        "--wsrep-sst-method=rsync".to_owned(),
        format!("--wsrep-sst-receive-address={all}"),
        "--binlog-format=ROW".to_owned(),
        "--innodb-autoinc-lock-mode=2".to_owned(),
        // A commit survives a kill; that it survives a power cut is not worth the wait.
        "--innodb-flush-log-at-trx-commit=2".to_owned(),
        format!("--wsrep-provider-options={}", options.join(";")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_provider_is_named_with_the_way_to_get_it() {
        let error = first_of(&["/nowhere/libgalera_smm.so"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/libgalera_smm.so"), "{error}");
        assert!(error.contains("apt-get install galera-4"), "{error}");
    }
}
