//! One point query, `SELECT v FROM t WHERE id = ..`, by one task on one thread, with a checkout for
//! each. (On a connection that is held: see [`held`](super::held).)

use evenhand_mysql::Pool;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::runtime::Runtime;

use super::server::{PREPARED, TEXT, id};
use crate::one_task::Run;

/// One way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The driver's connection, without any pool.
    Bare,
    /// A checkout from `mysql_async::Pool` for each query, as the pool comes: with a reset.
    DriverEach,
    /// A checkout from Evenhand for each query, as the pool comes: with a reset.
    EvenhandEach,
    /// As `DriverEach`, without a reset.
    DriverEachAsIs,
    /// As `EvenhandEach`, without a reset.
    EvenhandEachAsIs,
}

impl Row {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Bare,
        Self::DriverEach,
        Self::EvenhandEach,
        Self::DriverEachAsIs,
        Self::EvenhandEachAsIs,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::DriverEach => "mysql_async, each",
            Self::EvenhandEach => "evenhand, each",
            Self::DriverEachAsIs => "mysql_async, each, no reset",
            Self::EvenhandEachAsIs => "evenhand, each, no reset",
        }
    }

    /// What it is compared with: the driver's pool with the bare driver, Evenhand with that pool.
    pub fn base(self) -> Self {
        match self {
            Self::EvenhandEach => Self::DriverEach,
            Self::EvenhandEachAsIs => Self::DriverEachAsIs,
            _ => Self::Bare,
        }
    }
}

/// How the query is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// As text, with the id in it.
    Text,
    /// As a prepared statement. A client that resets connections prepares it again each time.
    Prepared,
}

/// Sets a row up over the server at `url` (see [`server::url`](super::server::url)). What it gives is the sum of the values that were read.
pub fn set_up(row: Row, protocol: Protocol, url: &str) -> Run {
    let runtime = super::one_thread();
    let reset = !matches!(row, Row::DriverEachAsIs | Row::EvenhandEachAsIs);
    let url = format!("{url}&reset_connection={reset}");
    let driver = || mysql_async::Pool::new(url.as_str());
    let evenhand = || Pool::new([("db0", url.as_str())]).expect("the URL is valid");
    match row {
        Row::Bare => {
            let conn = runtime.block_on(Conn::from_url(url)).expect("it is up");
            held(runtime, protocol, conn)
        }
        Row::DriverEach | Row::DriverEachAsIs => {
            let pool = driver();
            each(runtime, protocol, async move || {
                pool.get_conn().await.expect("it is up")
            })
        }
        Row::EvenhandEach | Row::EvenhandEachAsIs => {
            let pool = evenhand();
            each(runtime, protocol, async move || {
                pool.get_conn().await.expect("it is up")
            })
        }
    }
}

fn held(runtime: Runtime, protocol: Protocol, mut conn: Conn) -> Run {
    Box::new(move |calls| {
        runtime.block_on(async {
            let mut sum = 0;
            for call in 0..calls {
                sum += ask(&mut conn, protocol, id(call)).await;
            }
            sum
        })
    })
}

fn each<C: Queryable>(
    runtime: Runtime,
    protocol: Protocol,
    get: impl AsyncFn() -> C + 'static,
) -> Run {
    Box::new(move |calls| {
        runtime.block_on(async {
            let mut sum = 0;
            for call in 0..calls {
                sum += ask(&mut get().await, protocol, id(call)).await;
            }
            sum
        })
    })
}

/// Asks for one value.
pub(super) async fn ask(conn: &mut impl Queryable, protocol: Protocol, id: u64) -> u64 {
    let answer = match protocol {
        Protocol::Text => conn.query_first(format!("{TEXT}{id}")).await,
        Protocol::Prepared => conn.exec_first(PREPARED, (id,)).await,
    };
    answer.expect("the server is up").expect("the row is there")
}
