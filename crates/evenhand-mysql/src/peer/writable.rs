//! Whether a server takes writes: by its settings and, in a member of a replication group, by its group.
//!
//! A member that lost the majority of its group still says that it is not read-only, and its writes
//! hang. A member that started outside its group takes writes that the group never sees.

use std::sync::{Arc, Once};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Result, Row, ServerError, Value};

/// As a new session has them. Not every server knows all: `tx_read_only` is `transaction_read_only` in
/// MySQL 8, and the group has a name in members only.
const SETTINGS: &str = "SHOW VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', \
                        'innodb_read_only', 'tx_read_only', 'transaction_read_only', \
                        'group_replication_group_name')";
const GROUP_NAME: &[u8] = b"group_replication_group_name";
/// How many members there are, how many of them can be reached, and whether this one is online.
const MEMBERS: &str = "SELECT COUNT(*), SUM(MEMBER_STATE IN ('ONLINE', 'RECOVERING')), \
                       SUM(MEMBER_ID = @@server_uuid AND MEMBER_STATE = 'ONLINE') \
                       FROM performance_schema.replication_group_members";

/// The warning that a server's group cannot be read. It is given once.
#[derive(Debug)]
pub(crate) struct GroupWarning {
    pool: Arc<str>,
    given: Once,
}

impl GroupWarning {
    pub(crate) fn new(pool: Arc<str>) -> Self {
        let given = Once::new();
        Self { pool, given }
    }

    fn give(&self, conn: &Conn, error: &ServerError) {
        let (host, port) = (conn.opts().ip_or_hostname(), conn.opts().tcp_port());
        self.given.call_once(|| {
            tracing::warn!(
                pool = &*self.pool,
                host,
                port,
                %error,
                "the replication group of this server cannot be read: whether it takes writes is \
                 judged by its settings alone"
            );
        });
    }
}

/// Why the server takes no writes; `None` if it does.
pub(crate) async fn why_not_writable(
    conn: &mut Conn,
    warning: &GroupWarning,
) -> Result<Option<&'static str>> {
    let settings: Vec<Row> = conn.query(SETTINGS).await?;
    let named = |name| settings.iter().find(|row| bytes(row, 0) == Some(name));
    let is_on = |row: &Row| !matches!(bytes(row, 1), Some(b"OFF" | b"0"));
    let mut switches = settings
        .iter()
        .filter(|row| bytes(row, 0) != Some(GROUP_NAME));
    if switches.any(is_on) {
        return Ok(Some("the peer is read-only"));
    }
    match named(GROUP_NAME).and_then(|row| bytes(row, 1)) {
        None | Some(b"") => Ok(None),
        Some(_) => outside_its_group(conn, warning).await,
    }
}

async fn outside_its_group(
    conn: &mut Conn,
    warning: &GroupWarning,
) -> Result<Option<&'static str>> {
    let members: Option<(u64, Option<u64>, Option<u64>)> = match conn.query_first(MEMBERS).await {
        // The tables may be closed to the user, so this is unknown, and the settings decide.
        Err(Error::Server(error)) => {
            warning.give(conn, &error);
            return Ok(None);
        }
        members => members?,
    };
    let (all, reachable, online) = members.unwrap_or_default();
    Ok(match (reachable.unwrap_or(0), online.unwrap_or(0)) {
        (_, 0) => Some("the peer is not online in its group"),
        (reachable, _) if 2 * reachable <= all => Some("the peer's group has no majority"),
        _ => None,
    })
}

/// A value of the text protocol; `None` for NULL.
pub(super) fn bytes(row: &Row, column: usize) -> Option<&[u8]> {
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}
