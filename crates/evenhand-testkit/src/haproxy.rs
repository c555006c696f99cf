//! [`HaProxy`]: a real HAProxy in TCP mode, commanded by its admin socket.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::port::ReservedPort;
use crate::process::{self, POLL, Process};

const PROGRAM: &str = "haproxy";
/// The names in its configuration.
const FRONTEND: &str = "clients";
const BACKEND: &str = "peers";
/// How long it may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take to answer a command.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why HAProxy could not be started, stopped or commanded.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum HaProxyError {
    /// It is not installed.
    #[error(
        "haproxy is neither in PATH nor in /usr/sbin or /usr/local/sbin; these tests need a real \
         one: on Debian or Ubuntu, apt-get install haproxy"
    )]
    Missing,
    /// The operating system refused something.
    #[error("could not {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It ended before it answered.
    #[error("haproxy ended ({status}) before it answered on {addr}; it said:\n{log}")]
    Ended {
        /// Where it was to listen.
        addr: SocketAddr,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        log: String,
    },
    /// It ran, but did not answer in time. It has been killed.
    #[error("haproxy on {addr} did not answer within {limit:?}; it said:\n{log}")]
    Silent {
        /// Where it was to listen.
        addr: SocketAddr,
        /// How long it was waited for.
        limit: Duration,
        /// The end of what it wrote.
        log: String,
    },
    /// It was killed or stopped before.
    #[error("haproxy on {addr} is not running; call restart first")]
    NotRunning {
        /// Where it listened.
        addr: SocketAddr,
    },
    /// It understood a command and refused it, or did not understand it.
    #[error("haproxy on {addr} refused `{command}`: {reply}")]
    Refused {
        /// Where it listens.
        addr: SocketAddr,
        /// What it was told.
        command: String,
        /// What it said.
        reply: String,
    },
    /// The process would not take a signal.
    #[error("could not send {signal} to haproxy, process {pid}")]
    Signal {
        /// The signal's name.
        signal: &'static str,
        /// Its process.
        pid: u32,
        /// What the operating system said.
        source: Errno,
    },
}

/// A running HAProxy that hands connections to its backends in turn, and to the next one if one
/// refuses.
///
/// The process is killed and its folder removed on drop, so also when the test panics. All calls
/// block, for some milliseconds. What it is told by [`drain`](HaProxy::drain) and its kin is
/// forgotten by a restart.
///
/// ```no_run
/// use evenhand_testkit::{HaProxy, MariaDb};
///
/// let dbs = MariaDb::start_many(2)?;
/// let mut proxy = HaProxy::start(&[dbs[0].addr(), dbs[1].addr()])?;
/// println!("{}", proxy.url());
/// proxy.disable_frontend()?; // refuses new connections, held ones live on
/// proxy.enable_frontend()?;
/// proxy.drain(0)?; // new connections go to the other backend
/// proxy.ready(0)?;
/// proxy.kill()?;
/// proxy.restart()?; // on the same port
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HaProxy {
    // Before the folder, so that it is gone when its files go.
    process: Option<Process>,
    port: ReservedPort,
    folder: TempDir,
}

impl HaProxy {
    /// Starts it on a free port of 127.0.0.1, and waits until it answers. There are no health
    /// checks, so that backends see clients' connections only. Without a backend, clients are
    /// accepted and get a FIN.
    ///
    /// # Errors
    /// If HAProxy is not installed, a folder or port cannot be had, or it ends or stays silent;
    /// then with what it said.
    pub fn start(backends: &[SocketAddr]) -> Result<HaProxy, HaProxyError> {
        let port = ReservedPort::any().map_err(failed("find a free port on 127.0.0.1"))?;
        let folder = tempfile::Builder::new()
            .prefix("evenhand-haproxy-")
            .tempdir()
            .map_err(failed("create a temporary folder"))?;
        let mut proxy = HaProxy {
            process: None,
            port,
            folder,
        };
        fs::write(proxy.file("config"), proxy.config(backends))
            .map_err(failed("write haproxy's configuration"))?;
        proxy.launch()?;
        Ok(proxy)
    }

    /// Where it listens. The port stays the same through every stop and restart, and is
    /// reserved meanwhile.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// `mysql://root@127.0.0.1:PORT/test`
    pub fn url(&self) -> String {
        format!("mysql://root@{}/test", self.addr())
    }

    /// Its process; `None` after [`kill`](HaProxy::kill) or [`stop`](HaProxy::stop).
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Stops listening: new connections are refused, held ones live on. A paused ProxySQL does the
    /// same.
    ///
    /// # Errors
    /// If it does not run or does not answer.
    pub fn disable_frontend(&self) -> Result<(), HaProxyError> {
        self.order(&format!("disable frontend {FRONTEND}"))
    }

    /// Listens again.
    ///
    /// # Errors
    /// If it does not run or does not answer.
    pub fn enable_frontend(&self) -> Result<(), HaProxyError> {
        self.order(&format!("enable frontend {FRONTEND}"))
    }

    /// Gives this backend, counted from 0, no new connections; held ones live on.
    ///
    /// # Errors
    /// If it does not run, does not answer or has no such backend.
    pub fn drain(&self, backend: usize) -> Result<(), HaProxyError> {
        self.set_state(backend, "drain")
    }

    /// Takes this backend out for maintenance: no new connections; held ones live on.
    ///
    /// # Errors
    /// As [`drain`](HaProxy::drain).
    pub fn maint(&self, backend: usize) -> Result<(), HaProxyError> {
        self.set_state(backend, "maint")
    }

    /// Ends [`drain`](HaProxy::drain) and [`maint`](HaProxy::maint).
    ///
    /// # Errors
    /// As [`drain`](HaProxy::drain).
    pub fn ready(&self, backend: usize) -> Result<(), HaProxyError> {
        self.set_state(backend, "ready")
    }

    /// Sends a line to the admin socket and gives the reply, without the blanks around it. The
    /// frontend is called `clients`; the backends are the servers `peers/s0`, `peers/s1` and so on.
    /// That a command is not understood is a reply, too.
    ///
    /// # Errors
    /// If it does not run, or has not answered within five seconds.
    pub fn command(&self, command: &str) -> Result<String, HaProxyError> {
        let addr = self.addr();
        if self.process.is_none() {
            return Err(HaProxyError::NotRunning { addr });
        }
        self.ask(command)
            .map(|reply| reply.trim().to_owned())
            .map_err(failed(format!(
                "give haproxy on {addr} the command `{command}`"
            )))
    }

    /// Sends SIGKILL and waits until the process is gone: every connection is cut. Does nothing if
    /// it is not running.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill(&mut self) -> Result<(), HaProxyError> {
        if let Some(process) = &mut self.process {
            process.kill().map_err(failed("kill haproxy"))?;
            self.process = None;
        }
        Ok(())
    }

    /// Sends SIGTERM, on which it ends at once and cuts every connection, and waits until it is
    /// gone. Does nothing if it is not running.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop(&mut self) -> Result<(), HaProxyError> {
        if let Some(process) = &mut self.process {
            let signal = Signal::SIGTERM;
            process
                .signal(signal)
                .map_err(|source| HaProxyError::Signal {
                    signal: signal.as_str(),
                    pid: process.id(),
                    source,
                })?;
            process
                .wait_until_it_ends(STOP_LIMIT)
                .map_err(failed("wait for haproxy to end"))?;
        }
        self.kill()
    }

    /// Starts it again on the same port with the same backends, all of them ready. One that runs
    /// is stopped first.
    ///
    /// # Errors
    /// If it ends or stays silent, with what it said.
    pub fn restart(&mut self) -> Result<(), HaProxyError> {
        self.stop()?;
        self.launch()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, backends: &[SocketAddr]) -> String {
        let mut config = format!(
            "global\n    stats socket {} level admin\n    nbthread 1\n    maxconn 2000\n\
             defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1h\n    \
             timeout server 1h\n    retries 2\n    option redispatch 1\n\
             frontend {FRONTEND}\n    bind {}\n    default_backend {BACKEND}\n\
             backend {BACKEND}\n    balance roundrobin\n",
            self.file("admin").display(),
            self.addr(),
        );
        for (number, addr) in backends.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(config, "    server s{number} {addr}");
        }
        config
    }

    fn launch(&mut self) -> Result<(), HaProxyError> {
        let program = process::find(PROGRAM).ok_or(HaProxyError::Missing)?;
        let log = File::create(self.file("log")).map_err(failed("create haproxy's log"))?;
        let log_too = log.try_clone().map_err(failed("create haproxy's log"))?;
        let mut command = process::command(&program, None);
        command
            // In the foreground, as this very process.
            .arg("-db")
            .arg("-f")
            .arg(self.file("config"))
            .stdin(Stdio::null())
            .stdout(log_too)
            .stderr(log);
        let process = process::launch(command).map_err(failed("run haproxy"))?;
        let pid = self.process.insert(process).id();
        let begun = Instant::now();
        loop {
            let Some(process) = &mut self.process else {
                return Err(HaProxyError::NotRunning { addr: self.addr() });
            };
            let ended = process.ended().map_err(failed("look after haproxy"))?;
            if let Some(status) = ended {
                self.process = None;
                return Err(HaProxyError::Ended {
                    addr: self.addr(),
                    status,
                    log: self.log_tail(),
                });
            }
            // It listens before it answers here. Until its socket exists, there may be an older
            // socket on which nothing answers.
            let info = self.ask("show info").unwrap_or_default();
            if info.lines().any(|line| line == format!("Pid: {pid}")) {
                return Ok(());
            }
            if begun.elapsed() >= START_LIMIT {
                self.kill()?;
                return Err(HaProxyError::Silent {
                    addr: self.addr(),
                    limit: START_LIMIT,
                    log: self.log_tail(),
                });
            }
            thread::sleep(POLL);
        }
    }

    fn log_tail(&self) -> String {
        process::tail(&fs::read(self.file("log")).unwrap_or_default())
    }

    fn ask(&self, command: &str) -> io::Result<String> {
        let mut socket = UnixStream::connect(self.file("admin"))?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        socket.set_write_timeout(Some(ANSWER_LIMIT))?;
        socket.write_all(format!("{command}\n").as_bytes())?;
        let mut reply = String::new();
        socket.read_to_string(&mut reply)?;
        Ok(reply)
    }

    fn set_state(&self, backend: usize, state: &str) -> Result<(), HaProxyError> {
        self.order(&format!("set server {BACKEND}/s{backend} state {state}"))
    }

    /// A command that has no reply, but for that all is so already.
    fn order(&self, command: &str) -> Result<(), HaProxyError> {
        let reply = self.command(command)?;
        if reply.is_empty() || reply.contains("already") {
            return Ok(());
        }
        Err(HaProxyError::Refused {
            addr: self.addr(),
            command: command.to_owned(),
            reply,
        })
    }
}

/// For `map_err`: what was tried, and later why it failed.
fn failed(action: impl Into<String>) -> impl FnOnce(io::Error) -> HaProxyError {
    let action = action.into();
    move |source| HaProxyError::Io { action, source }
}
