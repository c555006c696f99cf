//! The driver's [`Queryable`] on the guard, and on a transaction.
//!
//! Besides the required methods, those that also read the rows are implemented, so that they are judged
//! as a whole and end when the peer is lost. The methods that map rows are derived from those that fold
//! them. A caller that reads rows one by one (`query_iter`, `exec_iter`, and streams on them) reads them
//! from the driver; the guard learns of a failure there when the connection is returned.

use futures_core::future::BoxFuture;
use mysql_async::prelude::{AsQuery, FromRow, Queryable, StatementLike};
use mysql_async::{BinaryProtocol, Params, QueryResult, Result, Statement, TextProtocol};

use super::PeerConn;
use super::transaction::Transaction;
use crate::classify::Phase;

/// Observes one operation on the connection.
macro_rules! observed {
    ($self:ident, $phase:expr, $conn:ident => $operation:expr) => {
        Box::pin(async move {
            let phase = $phase;
            let ($conn, observer) = $self.guard().ready().await?;
            observer.observe(phase, $operation).await
        })
    };
}

/// Implements it for a type with a `fn guard(&mut self) -> &mut PeerConn`.
macro_rules! queryable {
    ($guarded:ty) => {
        impl Queryable for $guarded {
            fn ping(&mut self) -> BoxFuture<'_, Result<()>> {
                observed!(self, Phase::Query, conn => conn.ping())
            }

            fn query_iter<'a, Q>(
                &'a mut self,
                query: Q,
            ) -> BoxFuture<'a, Result<QueryResult<'a, 'static, TextProtocol>>>
            where
                Q: AsQuery + 'a,
            {
                observed!(self, self.guard().read_text(&query), conn => conn.query_iter(query))
            }

            fn prep<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Statement>>
            where
                Q: AsQuery + 'a,
            {
                observed!(self, Phase::Query, conn => conn.prep(query))
            }

            fn close(&mut self, statement: Statement) -> BoxFuture<'_, Result<()>> {
                observed!(self, Phase::Query, conn => conn.close(statement))
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
                observed!(self, self.guard().read_params(&params), conn => conn.exec_iter(statement, params))
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
                observed!(self, self.guard().read_params(&Params::Empty), conn => conn.exec_batch(statement, params))
            }

            fn query<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Vec<T>>>
            where
                Q: AsQuery + 'a,
                T: FromRow + Send + 'static,
            {
                observed!(self, self.guard().read_text(&query), conn => conn.query(query))
            }

            fn query_first<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Option<T>>>
            where
                Q: AsQuery + 'a,
                T: FromRow + Send + 'static,
            {
                observed!(self, self.guard().read_text(&query), conn => conn.query_first(query))
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
                observed!(self, self.guard().read_text(&query), conn => conn.query_fold(query, init, fold))
            }

            fn query_drop<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<()>>
            where
                Q: AsQuery + 'a,
            {
                observed!(self, self.guard().read_text(&query), conn => conn.query_drop(query))
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
                let params = params.into();
                observed!(self, self.guard().read_params(&params), conn => conn.exec(statement, params))
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
                let params = params.into();
                observed!(self, self.guard().read_params(&params), conn => conn.exec_first(statement, params))
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
                let params = params.into();
                observed!(self, self.guard().read_params(&params), conn => conn.exec_fold(statement, params, init, fold))
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
                let params = params.into();
                observed!(self, self.guard().read_params(&params), conn => conn.exec_drop(statement, params))
            }
        }
    };
}

queryable!(PeerConn);
queryable!(Transaction<'_>);
