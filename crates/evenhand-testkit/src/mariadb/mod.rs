//! [`MariaDb`]: real `mariadbd` processes, each with a temporary folder and a loopback port of its
//! own.
//!
//! | file | holds |
//! | --- | --- |
//! | `template.rs` | the data directory that every server starts from |
//! | `process.rs` | starting, waiting for and signalling a process |
//! | `error.rs` | [`MariaDbError`] |
//!
//! A server takes about a third of a second to start and 60 MB of memory. All calls block: inside
//! an async test use `tokio::task::spawn_blocking`, or accept that they hold up a worker.

mod error;
mod process;
mod template;

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::port::ReservedPort;
use process::{Owner, Start};
use template::Template;

pub use error::MariaDbError;

/// How long a server may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How many ports a start tries before it gives up.
const PORTS: u32 = 5;

/// A running `mariadbd`.
///
/// `root` logs in without a password, and there is an empty database `test`. It listens on
/// 127.0.0.1 only. The process is killed and its folder removed on drop, so also when the test
/// panics; and where util-linux's `setpriv` is installed it dies with the test process, even if
/// that is killed.
///
/// ```no_run
/// use evenhand_testkit::MariaDb;
///
/// let mut db = MariaDb::start()?;
/// println!("{}", db.url());
/// db.kill()?; // refuses connections
/// db.restart()?; // the same port, the same data
/// db.freeze()?; // accepts connections and says nothing
/// db.thaw()?;
/// # Ok::<(), evenhand_testkit::MariaDbError>(())
/// ```
#[derive(Debug)]
pub struct MariaDb {
    child: Option<Child>,
    port: ReservedPort,
    folder: TempDir,
    owner: Option<Owner>,
    args: Vec<String>,
}

/// Settings of a [`MariaDb`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct MariaDbBuilder {
    args: Vec<String>,
}

impl MariaDbBuilder {
    /// Another argument for `mariadbd`, such as `--wait-timeout=1`; it may override the testkit's
    /// own. MariaDB takes a `--max-connections` below 10 for 10, and lets `root` in once more when
    /// they are used up.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Starts a server and waits until it answers, for 30 seconds at most.
    ///
    /// # Errors
    /// If MariaDB is not installed, a folder or port cannot be had, or the server ends or stays
    /// silent; then with the end of its log.
    pub fn start(&self) -> Result<MariaDb, MariaDbError> {
        let owner = Owner::find()?;
        // Before the template, for the better message.
        process::find("mariadbd")?;
        let template = Template::get(owner.as_ref())?;
        let folder = tempfile::Builder::new()
            .prefix("evenhand-mariadb-")
            .tempdir()
            .map_err(MariaDbError::io("create a temporary folder"))?;
        if let Some(owner) = &owner {
            owner.give(folder.path())?;
        }
        template.write(&folder.path().join("data"), owner.as_ref())?;
        let port = reserve()?;
        let mut db = MariaDb {
            child: None,
            port,
            folder,
            owner,
            args: self.args.clone(),
        };
        let mut ports = 1;
        while let Err(error) = db.launch() {
            if ports == PORTS || !lost_its_port(&error) {
                return Err(error);
            }
            ports += 1;
            db.port = reserve()?;
        }
        Ok(db)
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

    /// The port, the same through every stop and restart.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// Where it listens, on 127.0.0.1.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// `mysql://root@127.0.0.1:PORT/test`
    pub fn url(&self) -> String {
        format!("mysql://root@{}/test", self.addr())
    }

    /// The server's process; `None` after [`kill`](MariaDb::kill) or [`stop`](MariaDb::stop).
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The end of the server's error log, for a test's own messages.
    pub fn log_tail(&self) -> String {
        process::tail(&fs::read(self.log()).unwrap_or_default())
    }

    /// Sends SIGKILL and waits until the process is gone; also when it is frozen. Does nothing if
    /// it is not running.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill(&mut self) -> Result<(), MariaDbError> {
        if let Some(child) = &mut self.child {
            child
                .kill()
                .and_then(|()| child.wait())
                .map_err(MariaDbError::io("kill mariadbd"))?;
            self.child = None;
        }
        Ok(())
    }

    /// Sends SIGTERM, waits up to 20 seconds for a clean end, then kills. A frozen server is thawed
    /// so that it can end. Does nothing if it is not running.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop(&mut self) -> Result<(), MariaDbError> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        // Until it is waited for, its process id cannot become another's.
        process::signal(child.id(), Signal::SIGTERM)?;
        process::signal(child.id(), Signal::SIGCONT)?;
        process::wait_until_it_ends(child, STOP_LIMIT)
            .map_err(MariaDbError::io("wait for mariadbd to end"))?;
        self.kill()
    }

    /// Sends SIGSTOP, and returns when the process has stopped: it accepts connections and says
    /// nothing.
    ///
    /// # Errors
    /// [`MariaDbError::NotRunning`] after a kill or stop.
    pub fn freeze(&self) -> Result<(), MariaDbError> {
        let pid = self.signal(Signal::SIGSTOP)?;
        process::wait_until_stopped(pid);
        Ok(())
    }

    /// Sends SIGCONT: it goes on where it was.
    ///
    /// # Errors
    /// [`MariaDbError::NotRunning`] after a kill or stop.
    pub fn thaw(&self) -> Result<(), MariaDbError> {
        self.signal(Signal::SIGCONT).map(|_| ())
    }

    /// Starts it again on the same port and data directory, and waits until it answers. One that
    /// runs is stopped first.
    ///
    /// # Errors
    /// If the server ends or stays silent, with the end of its log.
    pub fn restart(&mut self) -> Result<(), MariaDbError> {
        self.stop()?;
        let begun = Instant::now();
        loop {
            match self.launch() {
                Err(error) if lost_its_port(&error) && begun.elapsed() < START_LIMIT => {}
                done => return done,
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("error.log")
    }

    fn signal(&self, signal: Signal) -> Result<u32, MariaDbError> {
        let pid = self
            .pid()
            .ok_or(MariaDbError::NotRunning { port: self.port() })?;
        process::signal(pid, signal)?;
        Ok(pid)
    }

    /// Starts the process and waits until it answers; kills it if it does not.
    fn launch(&mut self) -> Result<(), MariaDbError> {
        let folder = self.folder.path();
        let pid_file = folder.join("mariadbd.pid");
        // One that was killed has left its own.
        let _ = fs::remove_file(&pid_file);
        let log = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(self.log())
            .map_err(MariaDbError::io("create the error log"))?;
        let log_too = log
            .try_clone()
            .map_err(MariaDbError::io("create the error log"))?;

        let mut command = process::command(&process::find("mariadbd")?, self.owner.as_ref());
        command
            // Must come first.
            .arg("--no-defaults")
            .arg(format!("--datadir={}", folder.join("data").display()))
            .arg(format!("--socket={}", folder.join("sock").display()))
            .arg(format!("--pid-file={}", pid_file.display()))
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--port={}", self.port()))
            .args([
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
            ])
            .args(["--performance-schema=0", "--innodb-buffer-pool-size=16M"])
            .args([template::LOG_FILE_SIZE, template::DATA_FILE_PATH])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log_too)
            .stderr(log);
        let child = process::launch(command).map_err(MariaDbError::io("run mariadbd"))?;
        // From here on it is killed on drop.
        let child = self.child.insert(child);
        let addr = self.port.addr();
        let start = process::wait_until_it_answers(child, &pid_file, addr, START_LIMIT)
            .map_err(MariaDbError::io("wait for mariadbd to answer"))?;
        let port = self.port();
        match start {
            Start::Answers => Ok(()),
            Start::Ended(status) => {
                self.child = None;
                Err(MariaDbError::Ended {
                    port,
                    status,
                    log: self.log_tail(),
                })
            }
            Start::Silent => {
                self.kill()?;
                let log = self.log_tail();
                Err(MariaDbError::Silent {
                    port,
                    limit: START_LIMIT,
                    log,
                })
            }
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // There is nobody to tell; the folder goes with its own drop.
        let _ = self.kill();
    }
}

fn reserve() -> Result<ReservedPort, MariaDbError> {
    ReservedPort::any().map_err(MariaDbError::io("find a free port on 127.0.0.1"))
}

/// Whether the server ended because something else listens on its port.
fn lost_its_port(error: &MariaDbError) -> bool {
    const CANNOT_BIND: &str = "Can't start server: Bind on TCP/IP port";
    matches!(error, MariaDbError::Ended { log, .. } if log.contains(CANNOT_BIND))
}
