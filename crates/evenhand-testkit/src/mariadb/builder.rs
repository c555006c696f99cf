//! [`MariaDbBuilder`]: what a server is to be like, and its start.

use std::net::SocketAddr;
use std::thread;

use super::error::MariaDbError;
use super::owner::Owner;
use super::program::{Maker, Program};
use super::server::{MariaDb, lost_its_port};
use super::template::Template;
use crate::port::ReservedPort;

/// How many ports a start tries before it gives up.
const PORTS: u32 = 5;

/// Settings of a [`MariaDb`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct MariaDbBuilder {
    args: Vec<String>,
    maker: Option<Maker>,
    addr: Option<SocketAddr>,
}

impl MariaDbBuilder {
    /// Another argument for the server, such as `--wait-timeout=1`; it may override the testkit's
    /// own. MariaDB takes a `--max-connections` below 10 for 10, and lets `root` in once more when
    /// they are used up.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A server of this maker's only, whatever the others run on.
    pub fn maker(mut self, maker: Maker) -> Self {
        self.maker = Some(maker);
        self
    }

    /// Where it listens: an address of 127.0.0.0/8, and a port; 0 is a free one. By default at a free port of
    /// 127.0.0.1. On Linux all of these addresses are there, so two servers may have the same port.
    pub fn addr(mut self, addr: SocketAddr) -> Self {
        self.addr = Some(addr);
        self
    }

    /// Starts a server and waits until it answers, for 120 seconds at most.
    ///
    /// # Errors
    /// If no server is installed, a folder or port cannot be had, or the server ends or stays
    /// silent; then with the end of its log.
    pub fn start(&self) -> Result<MariaDb, MariaDbError> {
        let mut db = self.prepare()?;
        let mut ports = 1;
        while let Err(error) = db.launch(&[]) {
            let is_given = self.addr.is_some_and(|addr| addr.port() != 0);
            if is_given || ports == PORTS || !lost_its_port(&error) {
                return Err(error);
            }
            ports += 1;
            db.port = self.reserve()?;
        }
        Ok(db)
    }

    /// A server with its folder, its data and its port, that does not run yet.
    pub(crate) fn prepare(&self) -> Result<MariaDb, MariaDbError> {
        let owner = Owner::find()?;
        let program = Program::find(self.maker)?;
        // A test's output tells that it ran on a real server; `scripts/compat.sh` reads it.
        println!("on {:?}: {}", program.maker, program.path.display());
        let template = Template::get(&program, owner.as_ref())?;
        let folder = tempfile::Builder::new()
            .prefix("evenhand-mariadb-")
            .tempdir()
            .map_err(MariaDbError::io("create a temporary folder"))?;
        if let Some(owner) = &owner {
            owner.give(folder.path())?;
        }
        template.write(&folder.path().join("data"), owner.as_ref())?;
        Ok(MariaDb {
            process: None,
            program,
            port: self.reserve()?,
            folder,
            owner,
            template,
            args: self.args.clone(),
        })
    }

    fn reserve(&self) -> Result<ReservedPort, MariaDbError> {
        let port = self.addr.map_or_else(ReservedPort::any, ReservedPort::at);
        port.map_err(MariaDbError::io("find a free port of a loopback address"))
    }

    /// Starts `n` servers with these settings side by side; if one fails, the others are ended,
    /// too.
    ///
    /// # Errors
    /// As [`start`](MariaDbBuilder::start); the first of them.
    pub fn start_many(&self, n: usize) -> Result<Vec<MariaDb>, MariaDbError> {
        thread::scope(|scope| {
            let starts: Vec<_> = (0..n).map(|_| scope.spawn(|| self.start())).collect();
            starts
                .into_iter()
                .map(|start| {
                    start
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }
}

impl MariaDb {
    /// Starts a server with default settings; see [`MariaDbBuilder::start`].
    ///
    /// # Errors
    /// As [`MariaDbBuilder::start`].
    pub fn start() -> Result<MariaDb, MariaDbError> {
        MariaDb::builder().start()
    }

    /// Starts `n` servers side by side.
    ///
    /// # Errors
    /// As [`MariaDbBuilder::start`].
    pub fn start_many(n: usize) -> Result<Vec<MariaDb>, MariaDbError> {
        MariaDb::builder().start_many(n)
    }

    /// Settings to change before the start.
    pub fn builder() -> MariaDbBuilder {
        MariaDbBuilder::default()
    }
}
