//! What one server says of its cluster, and whether it is to be believed.

use std::collections::BTreeMap;
use std::io;

use evenhand_config::HostPort;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::{Kind, address};

/// Any user may ask this.
const GALERA: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
                      ('wsrep_cluster_status', 'wsrep_incoming_addresses')";
const GROUP: &str = "SELECT MEMBER_HOST, MEMBER_PORT, MEMBER_STATE, MEMBER_ID = @@server_uuid \
                     FROM performance_schema.replication_group_members";

/// Why there is no list of members.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoView {
    #[error("it cannot be asked: {0}")]
    Failed(#[from] Error),
    #[error("it gave no answer in time")]
    Late,
    #[error("it is in no cluster")]
    NoMember,
    #[error("its part of the cluster has no quorum")]
    NoQuorum,
    #[error(
        "it lists a node as AUTO: set `wsrep_node_incoming_address` on every node to the address that clients \
         use"
    )]
    Auto,
    #[error("it lists `{0}`, which is no address")]
    NoAddress(String),
}

/// Of a panic.
impl From<io::Error> for NoView {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The members' addresses as the cluster has them: at least one.
pub(crate) async fn ask(kind: Kind, conn: &mut Conn) -> Result<Vec<HostPort>, NoView> {
    match kind {
        Kind::Galera => {
            let status: Vec<(String, String)> = conn.query(GALERA).await?;
            galera(&status.into_iter().collect())
        }
        Kind::GroupReplication => group(conn.query(GROUP).await?),
    }
}

/// A minority's list would be as long as the minority.
fn galera(status: &BTreeMap<String, String>) -> Result<Vec<HostPort>, NoView> {
    let of = |name: &str| status.get(name).map_or("", String::as_str);
    match of("wsrep_cluster_status") {
        "Primary" => {}
        "" | "Disconnected" => return Err(NoView::NoMember),
        _ => return Err(NoView::NoQuorum),
    }
    let mut members = Vec::new();
    for entry in of("wsrep_incoming_addresses").split(',').map(str::trim) {
        let unknown = ["AUTO", "unspecified", "undefined"];
        if unknown.iter().any(|word| entry.eq_ignore_ascii_case(word)) {
            return Err(NoView::Auto);
        }
        // An arbitrator has none.
        if !entry.is_empty() {
            let address = entry.parse();
            members.push(address.map_err(|_| NoView::NoAddress(entry.to_owned()))?);
        }
    }
    some(members)
}

/// Its host, port and state, and whether it is the one that was asked.
type Row = (Option<String>, Option<u16>, String, bool);

fn group(rows: Vec<Row>) -> Result<Vec<HostPort>, NoView> {
    let is_online = |(_, _, state, own): &Row| *own && state == "ONLINE";
    if !rows.iter().any(is_online) {
        return Err(NoView::NoMember);
    }
    let reached = |row: &&Row| ["ONLINE", "RECOVERING"].contains(&&*row.2);
    if 2 * rows.iter().filter(reached).count() <= rows.len() {
        return Err(NoView::NoQuorum);
    }
    let mut members = Vec::new();
    for (host, port, state, _) in rows {
        // One that cannot be reached is a member until it is put out. One that recovers has old rows, which no
        // probe shows.
        if !["ONLINE", "UNREACHABLE"].contains(&&*state) {
            continue;
        }
        let (host, port) = (host.unwrap_or_default(), port.unwrap_or_default());
        let member = address(&host, port).ok_or(NoView::NoAddress(format!("{host}:{port}")))?;
        members.push(member);
    }
    some(members)
}

fn some(members: Vec<HostPort>) -> Result<Vec<HostPort>, NoView> {
    match members.is_empty() {
        true => Err(NoView::NoMember),
        false => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(view: Result<Vec<HostPort>, NoView>) -> Result<Vec<String>, String> {
        let view = view.map_err(|why| why.to_string())?;
        Ok(view.iter().map(ToString::to_string).collect())
    }

    fn galera_says(status: &str, addresses: &str) -> Result<Vec<String>, String> {
        let status = [
            ("wsrep_cluster_status", status),
            ("wsrep_incoming_addresses", addresses),
        ];
        let owned = status.map(|(name, value)| (name.to_owned(), value.to_owned()));
        texts(galera(&owned.into()))
    }

    #[test]
    fn galera_nodes_are_those_of_the_primary_component() {
        let listed = galera_says("Primary", "10.0.0.1:3307,, db1, [::1]:3308").unwrap();
        assert_eq!(listed, ["10.0.0.1:3307", "db1:3306", "[::1]:3308"]);
        let none = galera_says("non-Primary", "10.0.0.1:3306").unwrap_err();
        assert!(none.contains("quorum"), "{none}");
        assert!(galera_says("Disconnected", "").is_err());
        assert!(galera_says("Primary", ",").is_err());
        assert!(galera_says("Primary", "a b").is_err());
        assert!(texts(galera(&BTreeMap::new())).is_err());
        let auto = galera_says("Primary", "10.0.0.1:3306,AUTO").unwrap_err();
        assert!(auto.contains("wsrep_node_incoming_address"), "{auto}");
    }

    fn group_says(own: &str, others: &[&str]) -> Result<Vec<String>, String> {
        let row = |(at, state): (usize, &&str)| {
            let host = Some(format!("db{at}"));
            (host, Some(3306), (*state).to_owned(), at == 0)
        };
        let states = [&[own], others].concat();
        texts(group(states.iter().enumerate().map(row).collect()))
    }

    #[test]
    fn members_of_a_group_are_told_by_its_majority() {
        let all = ["db0:3306", "db1:3306", "db2:3306"];
        assert_eq!(
            group_says("ONLINE", &["ONLINE", "UNREACHABLE"]).unwrap(),
            all
        );
        // One that recovers belongs to the majority, and is no peer yet.
        assert_eq!(
            group_says("ONLINE", &["RECOVERING", "UNREACHABLE"]).unwrap(),
            ["db0:3306", "db2:3306"]
        );
        assert_eq!(
            group_says("ONLINE", &["ONLINE", "ERROR"]).unwrap(),
            all[..2]
        );
        assert!(group_says("ONLINE", &["UNREACHABLE"]).is_err());
        assert!(group_says("ONLINE", &["UNREACHABLE", "UNREACHABLE"]).is_err());
        // It was put out, or started alone.
        assert!(group_says("ERROR", &[]).is_err());
        assert!(group_says("OFFLINE", &[]).is_err());
        assert!(group_says("RECOVERING", &["ONLINE"]).is_err());
        assert!(texts(group(Vec::new())).is_err());
    }
}
