//! [`MariaDb`], a running server.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::error::MariaDbError;
use super::install;
use super::owner::Owner;
use super::program::{Maker, Program};
use super::ready::{self, Start};
use super::template::Template;
use crate::port::ReservedPort;
use crate::process::{self, Process};

/// How long a server may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A running server.
///
/// `root` logs in without a password, and there is an empty database `test`. It listens on
/// 127.0.0.1 only, unless another address was given. The process is killed and its folder removed on drop, so also when the test
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
    // Before the folder, so that it is gone when its files go.
    pub(super) process: Option<Process>,
    pub(super) program: Program,
    pub(super) port: ReservedPort,
    pub(super) folder: TempDir,
    pub(super) owner: Option<Owner>,
    pub(super) template: Arc<Template>,
    pub(super) args: Vec<String>,
}

impl MariaDb {
    /// Who made it.
    pub fn maker(&self) -> Maker {
        self.program.maker
    }

    /// The port, the same through every stop and restart.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// Where it listens: on 127.0.0.1, unless [`MariaDbBuilder::addr`](super::MariaDbBuilder::addr) says another
    /// address.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// `mysql://root@127.0.0.1:PORT/test`, or with the address where it listens.
    pub fn url(&self) -> String {
        format!("mysql://root@{}/test", self.addr())
    }

    /// The server's process; `None` after [`kill`](MariaDb::kill) or [`stop`](MariaDb::stop).
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
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
        if let Some(process) = &mut self.process {
            process
                .kill()
                .map_err(MariaDbError::io("kill the server"))?;
            self.process = None;
        }
        Ok(())
    }

    /// Sends SIGTERM, waits up to 20 seconds for a clean end, then kills. A frozen server is thawed
    /// so that it can end. Does nothing if it is not running.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop(&mut self) -> Result<(), MariaDbError> {
        if self.process.is_none() {
            return Ok(());
        }
        self.signal(Signal::SIGTERM)?;
        self.signal(Signal::SIGCONT)?;
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        process
            .wait_until_it_ends(STOP_LIMIT)
            .map_err(MariaDbError::io("wait for the server to end"))?;
        self.kill()
    }

    /// Sends SIGSTOP, and returns when the process has stopped: it accepts connections and says
    /// nothing.
    ///
    /// # Errors
    /// [`MariaDbError::NotRunning`] after a kill or stop.
    pub fn freeze(&self) -> Result<(), MariaDbError> {
        self.signal(Signal::SIGSTOP)?.wait_until_stopped();
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
            match self.launch(&[]) {
                Err(error) if lost_its_port(&error) && begun.elapsed() < START_LIMIT => {}
                done => return done,
            }
        }
    }

    /// Gives one that does not run the data that it had at first.
    pub(crate) fn forget(&self) -> Result<(), MariaDbError> {
        fs::remove_dir_all(self.data()).map_err(MariaDbError::io("remove a data directory"))?;
        self.template.write(&self.data(), self.owner.as_ref())
    }

    /// Whether it was given an argument of this name.
    pub(crate) fn has_arg(&self, name: &str) -> bool {
        self.args.iter().any(|arg| arg.starts_with(name))
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    /// Makes a file in its folder one that it may write to.
    pub(crate) fn give(&self, path: &Path) -> Result<(), MariaDbError> {
        self.owner.as_ref().map_or(Ok(()), |owner| owner.give(path))
    }

    /// All that it has logged since its latest start.
    pub(crate) fn whole_log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("error.log")
    }

    fn signal(&self, signal: Signal) -> Result<&Process, MariaDbError> {
        let process = self
            .process
            .as_ref()
            .ok_or(MariaDbError::NotRunning { port: self.port() })?;
        process
            .signal(signal)
            .map_err(|source| MariaDbError::Signal {
                signal: signal.as_str(),
                pid: process.id(),
                source,
            })?;
        Ok(process)
    }

    /// Says so, with the end of its log, if the process has ended by itself.
    pub(crate) fn check_it_runs(&mut self) -> Result<(), MariaDbError> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let ended = process.ended();
        match ended.map_err(MariaDbError::io("look after the server"))? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    fn ended(&mut self, status: ExitStatus) -> MariaDbError {
        self.process = None;
        MariaDbError::Ended {
            port: self.port(),
            status,
            log: self.log_tail(),
        }
    }

    /// A command that runs it on its folder and port.
    pub(crate) fn command(&self) -> Command {
        let folder = self.folder.path();
        let user = self.owner.as_ref().map(Owner::ids);
        let mut command = process::command(&self.program.path, user);
        command
            // Must come first.
            .arg("--no-defaults")
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--pid-file={}", self.pid_file().display()))
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--port={}", self.port()))
            .arg(format!("--bind-address={}", self.addr().ip()))
            .args(["--skip-name-resolve", "--skip-log-bin"])
            .args(["--performance-schema=0", "--innodb-buffer-pool-size=16M"])
            .args(install::settings(self.maker()))
            .args(&self.args);
        command
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("server.pid")
    }

    /// Starts the process, with these arguments, too, and waits until it answers; kills it if it
    /// does not.
    pub(crate) fn launch(&mut self, more_args: &[String]) -> Result<(), MariaDbError> {
        let pid_file = self.pid_file();
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
        let mut command = self.command();
        command
            .args(more_args)
            .stdin(Stdio::null())
            .stdout(log_too)
            .stderr(log);
        let process = process::launch(command).map_err(MariaDbError::io("run the server"))?;
        // From here on it is killed on drop.
        let process = self.process.insert(process);
        let addr = self.port.addr();
        let start = ready::wait_until_it_answers(process, &pid_file, addr, START_LIMIT)
            .map_err(MariaDbError::io("wait for the server to answer"))?;
        match start {
            Start::Answers => Ok(()),
            Start::Ended(status) => Err(self.ended(status)),
            Start::Silent(met) => {
                self.kill()?;
                let log = self.log_tail();
                Err(MariaDbError::Silent {
                    port: self.port(),
                    limit: START_LIMIT,
                    met,
                    log,
                })
            }
        }
    }
}

/// Whether the server ended because something else listens on its port.
pub(super) fn lost_its_port(error: &MariaDbError) -> bool {
    const CANNOT_BIND: &str = "Can't start server: Bind on TCP/IP port";
    matches!(error, MariaDbError::Ended { log, .. } if log.contains(CANNOT_BIND))
}
