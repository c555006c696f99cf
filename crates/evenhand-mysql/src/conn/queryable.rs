//! The driver's [`Queryable`] on the guard, and on a transaction on it.
//!
//! Besides what must be there, the calls that also read the rows are: so that the whole of them is
//! judged, and ends when the peer is lost. Those that map rows are made from those that fold them.
//! Who takes the rows one by one (`query_iter`, `exec_iter`, and streams on them) reads them from the
//! driver itself, which the guard sees only from behind, when the connection comes back.

use futures_core::future::BoxFuture;
use mysql_async::prelude::{AsQuery, FromRow, Queryable, StatementLike};
use mysql_async::{BinaryProtocol, Params, QueryResult, Result, Statement, TextProtocol};

use crate::classify::Phase;
use crate::conn::PeerConn;
use crate::judge::phase_of;
use crate::transaction::Transaction;

/// What has a `fn guard(&mut self) -> &mut PeerConn`.
macro_rules! queryable {
    ($guarded:ty) => {
        impl Queryable for $guarded {
            fn ping(&mut self) -> BoxFuture<'_, Result<()>> {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge.watch(Phase::Query, conn.ping()).await
                })
            }

            fn query_iter<'a, Q>(
                &'a mut self,
                query: Q,
            ) -> BoxFuture<'a, Result<QueryResult<'a, 'static, TextProtocol>>>
            where
                Q: AsQuery + 'a,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    let phase = phase_of(&query);
                    judge.watch(phase, conn.query_iter(query)).await
                })
            }

            fn prep<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Statement>>
            where
                Q: AsQuery + 'a,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge.watch(Phase::Query, conn.prep(query)).await
                })
            }

            fn close(&mut self, statement: Statement) -> BoxFuture<'_, Result<()>> {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge.watch(Phase::Query, conn.close(statement)).await
                })
            }

            fn exec_iter<'a: 's, 's, Q, P>(
                &'a mut self,
                statement: Q,
                params: P,
            ) -> BoxFuture<'s, Result<QueryResult<'a, 'static, BinaryProtocol>>>
            where
                Q: StatementLike + 's,
                P: Into<Params>,
            {
                let params = params.into();
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge
                        .watch(Phase::Query, conn.exec_iter(statement, params))
                        .await
                })
            }

            fn exec_batch<'a: 'b, 'b, S, P, I>(
                &'a mut self,
                statement: S,
                params: I,
            ) -> BoxFuture<'b, Result<()>>
            where
                S: StatementLike + 'b,
                I: IntoIterator<Item = P> + Send + 'b,
                I::IntoIter: Send,
                P: Into<Params> + Send,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge
                        .watch(Phase::Query, conn.exec_batch(statement, params))
                        .await
                })
            }

            fn query<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Vec<T>>>
            where
                Q: AsQuery + 'a,
                T: FromRow + Send + 'static,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    let phase = phase_of(&query);
                    judge.watch(phase, conn.query(query)).await
                })
            }

            fn query_first<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Option<T>>>
            where
                Q: AsQuery + 'a,
                T: FromRow + Send + 'static,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    let phase = phase_of(&query);
                    judge.watch(phase, conn.query_first(query)).await
                })
            }

            fn query_fold<'a, T, F, Q, U>(
                &'a mut self,
                query: Q,
                init: U,
                fold: F,
            ) -> BoxFuture<'a, Result<U>>
            where
                Q: AsQuery + 'a,
                T: FromRow + Send + 'static,
                F: FnMut(U, T) -> U + Send + 'a,
                U: Send + 'a,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    let phase = phase_of(&query);
                    judge.watch(phase, conn.query_fold(query, init, fold)).await
                })
            }

            fn query_drop<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<()>>
            where
                Q: AsQuery + 'a,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    let phase = phase_of(&query);
                    judge.watch(phase, conn.query_drop(query)).await
                })
            }

            fn exec<'a: 'b, 'b, T, S, P>(
                &'a mut self,
                statement: S,
                params: P,
            ) -> BoxFuture<'b, Result<Vec<T>>>
            where
                S: StatementLike + 'b,
                P: Into<Params> + Send + 'b,
                T: FromRow + Send + 'static,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge
                        .watch(Phase::Query, conn.exec(statement, params))
                        .await
                })
            }

            fn exec_first<'a: 'b, 'b, T, S, P>(
                &'a mut self,
                statement: S,
                params: P,
            ) -> BoxFuture<'b, Result<Option<T>>>
            where
                S: StatementLike + 'b,
                P: Into<Params> + Send + 'b,
                T: FromRow + Send + 'static,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge
                        .watch(Phase::Query, conn.exec_first(statement, params))
                        .await
                })
            }

            fn exec_fold<'a: 'b, 'b, T, S, P, U, F>(
                &'a mut self,
                statement: S,
                params: P,
                init: U,
                fold: F,
            ) -> BoxFuture<'b, Result<U>>
            where
                S: StatementLike + 'b,
                P: Into<Params> + Send + 'b,
                T: FromRow + Send + 'static,
                F: FnMut(U, T) -> U + Send + 'a,
                U: Send + 'a,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge
                        .watch(Phase::Query, conn.exec_fold(statement, params, init, fold))
                        .await
                })
            }

            fn exec_drop<'a: 'b, 'b, S, P>(
                &'a mut self,
                statement: S,
                params: P,
            ) -> BoxFuture<'b, Result<()>>
            where
                S: StatementLike + 'b,
                P: Into<Params> + Send + 'b,
            {
                Box::pin(async move {
                    let (conn, judge) = self.guard().ready().await?;
                    judge
                        .watch(Phase::Query, conn.exec_drop(statement, params))
                        .await
                })
            }
        }
    };
}

queryable!(PeerConn);
queryable!(Transaction<'_>);
