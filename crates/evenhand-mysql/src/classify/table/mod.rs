//! The table: what each error says about its peer.
//!
//! The codes were measured on MariaDB, Galera, HAProxy and ProxySQL, and read in the sources of other
//! drivers and proxies. The first row that fits an error judges it, so a row that looks at the message
//! comes before the row of its code alone.

mod connect;
mod statement;

use super::row::Row;

/// Every row, in order.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    connect::ROWS.iter().chain(statement::ROWS)
}
