//! The table: what each error says of its peer.
//!
//! What a code means was measured on MariaDB, Galera, HAProxy and ProxySQL, and read in the sources
//! of other drivers and proxies. `docs/MYSQL-ERRORS.md` is made from these rows, with the tests that
//! show each.
//!
//! The first row that fits is the one, so a row that looks at the text stands before the row of its
//! code alone.

mod connect;
mod statement;

use evenhand::Verdict;

use super::row::Row;

/// A Galera node that refuses work says so with the code of an unknown command.
const WSREP: &str = "WSREP has not yet prepared";
/// Errors in reading and writing packets.
const WIRE: &[u16] = &[1152, 1154, 1155, 1158, 1159, 1160, 1161, 1184];
const SHUTDOWN: &[u16] = &[1053, 1077, 1078, 1079, 1080];

const HEALTHY: Verdict = Verdict::healthy();
const NEUTRAL: Verdict = Verdict::neutral();
const DEGRADED: Verdict = Verdict::degraded();
const DOWN: Verdict = Verdict::down();
const SUSPECT: Verdict = Verdict::suspect();

/// Every row, in the order in which they are asked.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    connect::ROWS.iter().chain(statement::ROWS)
}
