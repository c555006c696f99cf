//! [`IntoPeer`]: what a pool's peers can be made from.

use std::sync::Arc;

use mysql_async::{Opts, OptsBuilder};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What a peer of a pool can be made from: connection options, with or without a name.
///
/// Connection options are a URL, a [`mysql_async::OptsBuilder`] or a [`mysql_async::Opts`]; a name and
/// options are a pair. A peer without a name is named after its address, `host:port`, or the path of
/// its socket.
pub trait IntoPeer {
    /// The peer's name, if it has one, and its connection options.
    fn into_peer(self) -> (Option<Arc<str>>, Result<Opts, AnyError>);
}

impl<N, O> IntoPeer for (N, O)
where
    N: Into<Arc<str>>,
    Opts: TryFrom<O>,
    <Opts as TryFrom<O>>::Error: std::error::Error + Send + Sync + 'static,
{
    fn into_peer(self) -> (Option<Arc<str>>, Result<Opts, AnyError>) {
        let (name, opts) = self;
        (Some(name.into()), Opts::try_from(opts).map_err(Into::into))
    }
}

impl IntoPeer for &str {
    fn into_peer(self) -> (Option<Arc<str>>, Result<Opts, AnyError>) {
        (None, Opts::try_from(self).map_err(Into::into))
    }
}

impl IntoPeer for OptsBuilder {
    fn into_peer(self) -> (Option<Arc<str>>, Result<Opts, AnyError>) {
        (None, Ok(self.into()))
    }
}

impl IntoPeer for Opts {
    fn into_peer(self) -> (Option<Arc<str>>, Result<Opts, AnyError>) {
        (None, Ok(self))
    }
}

/// Where a peer is: the path of its socket, or `host:port`.
pub(crate) fn address(opts: &Opts) -> Arc<str> {
    let (host, port) = (opts.ip_or_hostname(), opts.tcp_port());
    match opts.socket() {
        Some(path) => path.into(),
        // An IPv6 address without brackets.
        None if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}").into(),
        None => format!("{host}:{port}").into(),
    }
}
