//! A connection is taken from its pool and given back, with nothing done in between.
//!
//! One task does it over and over. After each return it lets the other tasks run once, as the query
//! that belongs there would: the driver takes returned connections in in a background task, and
//! a loop without a pause would open one connection after the other.
//!
//! Without a reset the server is not asked anything, so this is the pools' own cost. With one, the
//! pools have a single connection, so that each checkout waits for the reset before it.

use evenhand_mysql::Pool;
use tokio::task::yield_now;

use crate::one_task::Run;

/// One way to take a connection and give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// `mysql_async::Pool`, which does not reset what is returned.
    Driver,
    /// Evenhand over one peer, without a reset.
    Evenhand,
    /// Evenhand over three peers, without a reset.
    Evenhand3,
    /// `mysql_async::Pool` with a reset, as is its default.
    DriverReset,
    /// Evenhand over one peer with a reset, as is its default.
    EvenhandReset,
}

impl Row {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Driver,
        Self::Evenhand,
        Self::Evenhand3,
        Self::DriverReset,
        Self::EvenhandReset,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Driver => "mysql_async",
            Self::Evenhand => "evenhand",
            Self::Evenhand3 => "evenhand-3-peers",
            Self::DriverReset => "mysql_async-reset",
            Self::EvenhandReset => "evenhand-reset",
        }
    }

    /// The row of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.name() == name)
    }

    /// What it is compared with: the driver's own pool, doing the same.
    pub fn base(self) -> Self {
        match self {
            Self::DriverReset | Self::EvenhandReset => Self::DriverReset,
            _ => Self::Driver,
        }
    }
}

/// Sets a row up over the server at `url` (see [`server::url`](super::server::url)). The sum that it gives is the number of calls.
pub fn set_up(row: Row, url: &str) -> Run {
    let runtime = super::one_thread();
    let idle = format!("{url}&pool_min=1&pool_max=100&reset_connection=false");
    let single = format!("{url}&pool_min=1&pool_max=1&reset_connection=true");
    match row {
        Row::Driver | Row::DriverReset => {
            let url = if row == Row::Driver { idle } else { single };
            let pool = mysql_async::Pool::new(url.as_str());
            Box::new(move |calls| {
                runtime.block_on(async {
                    for _ in 0..calls {
                        drop(pool.get_conn().await.expect("the server is up"));
                        yield_now().await;
                    }
                    calls
                })
            })
        }
        Row::Evenhand | Row::Evenhand3 | Row::EvenhandReset => {
            let (url, peers) = match row {
                Row::Evenhand => (idle, 1),
                Row::Evenhand3 => (idle, 3),
                _ => (single, 1),
            };
            let peers = (0..peers).map(|n| (format!("db{n}"), url.as_str()));
            let pool = Pool::new(peers).expect("the URLs are valid");
            Box::new(move |calls| {
                runtime.block_on(async {
                    for _ in 0..calls {
                        drop(pool.get_conn().await.expect("the server is up"));
                        yield_now().await;
                    }
                    calls
                })
            })
        }
    }
}

/// Makes this number of calls for callgrind, which counts between entering and leaving this
/// function.
#[inline(never)]
pub fn measured(run: &mut Run, calls: u64) -> u64 {
    std::hint::black_box(run(calls))
}
