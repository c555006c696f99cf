//! A server with a table to read from.

use std::net::SocketAddr;

use evenhand_testkit::MariaDb;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// How many rows the table has; their ids begin at 1.
pub const ROWS: u64 = 1000;

/// What is asked, with an id.
pub const TEXT: &str = "SELECT v FROM t WHERE id = ";

/// The same as a prepared statement.
pub const PREPARED: &str = "SELECT v FROM t WHERE id = ?";

/// What stands in the row of that id.
pub fn value(id: u64) -> u64 {
    7 * id
}

/// The id that the n-th call asks for.
pub fn id(call: u64) -> u64 {
    call % ROWS + 1
}

/// How all are connected to: over TCP. By itself the driver would leave a loopback address for the
/// server's own socket, which is faster, goes round every proxy, and is not there where servers are
/// machines of their own. Evenhand never does so.
pub fn url(addr: SocketAddr) -> String {
    format!("mysql://root@{addr}/test?prefer_socket=false")
}

/// Starts `n` servers, each with the same table.
pub fn start(n: usize) -> Vec<MariaDb> {
    let servers = MariaDb::start_many(n).unwrap_or_else(|error| panic!("{error}"));
    let runtime = super::one_thread();
    for server in &servers {
        let filled = runtime.block_on(fill(&url(server.addr())));
        filled.unwrap_or_else(|error| panic!("the table could not be filled: {error}"));
    }
    servers
}

async fn fill(url: &str) -> mysql_async::Result<()> {
    let mut conn = Conn::from_url(url).await?;
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL) ENGINE = InnoDB")
        .await?;
    let rows: Vec<String> = (1..=ROWS)
        .map(|id| format!("({id}, {})", value(id)))
        .collect();
    conn.query_drop(format!("INSERT INTO t VALUES {}", rows.join(", ")))
        .await?;
    conn.disconnect().await
}
