//! [`Probe`]: what a peer must do to count as ready for work.

/// What a peer must do, on a connection of its own, to be in: after an ejection, in the checks of
/// peers that are up, and where an outcome alone did not tell.
///
/// Each starts with a login like any caller's, and takes no place among the pool's connections.
/// Given to a pool by [`PoolOptions::probe`](crate::PoolOptions::probe).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// Log in and ping. A Galera node that refuses work and a proxy without a backend pass it: for
    /// peers that let you do nothing else.
    Ping,
    /// Log in and do nothing (`DO 1`). It needs no privilege and costs nothing, and it fails on
    /// Galera nodes that refuse work and on proxies without a backend. The default.
    #[default]
    Ready,
    /// As [`Ready`](Self::Ready), and neither `read_only` nor `super_read_only` nor
    /// `innodb_read_only` is on. The default of pools that are declared
    /// [`writable`](crate::PoolOptions::writable).
    Writable,
    /// A query of your own, whose first value must be the one that is expected. See
    /// [`Probe::query`].
    #[non_exhaustive]
    Query {
        /// The statement.
        sql: String,
        /// The first value of the first row, as text.
        expect: String,
    },
}

impl Probe {
    /// A query of your own: the peer is ready if the first value of the first row is `expect`,
    /// compared as text. Any other value, NULL, no row and any error mean that it is not.
    ///
    /// ```
    /// use evenhand_mysql::{PoolOptions, Probe};
    ///
    /// let probe = Probe::query("SELECT in_service FROM ops.health", "1");
    /// let options = PoolOptions::default().probe(probe);
    /// ```
    pub fn query(sql: impl Into<String>, expect: impl Into<String>) -> Self {
        Self::Query {
            sql: sql.into(),
            expect: expect.into(),
        }
    }

    /// Whether a peer may fail it while it serves callers well, so that their traffic proves
    /// nothing.
    pub(crate) fn asks_more_than_traffic(&self) -> bool {
        match self {
            Self::Ping | Self::Ready => false,
            Self::Writable | Self::Query { .. } => true,
        }
    }
}
