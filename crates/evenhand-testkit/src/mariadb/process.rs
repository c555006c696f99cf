//! One `mariadbd` process: how it is found, started, waited for and signalled.
//!
//! It must not outlive the test, whatever becomes of that. Dropping the handle kills it, which
//! covers the end of a test and a panic. For a test process that is itself killed the kernel is
//! asked to kill the server, too (`PR_SET_PDEATHSIG`), by way of util-linux's `setpriv` where it is
//! installed. Two things make that right:
//!
//! - the kernel means the *thread* that started the server, not the process, so all servers are
//!   started by one thread that never ends;
//! - a change of user clears the request, so the server runs as its own user from the start, and is
//!   not told to become it.

use std::fs;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User};

use super::error::MariaDbError;

/// How often a condition is looked at that cannot be waited for.
const POLL: Duration = Duration::from_millis(5);
/// How much of a log goes into an error.
const TAIL_LINES: usize = 25;

/// The user that the server runs as, when we are root.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) name: String,
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// The user `mysql` if we are root; nobody else needs another user.
    pub(super) fn find() -> Result<Option<Owner>, MariaDbError> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        let user = User::from_name("mysql")
            .map_err(io::Error::from)
            .map_err(MariaDbError::io("look up the user `mysql`"))?
            .ok_or(MariaDbError::NoUser)?;
        Ok(Some(Owner {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
        }))
    }

    /// Makes a file or folder this user's.
    pub(super) fn give(&self, path: &Path) -> Result<(), MariaDbError> {
        chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw())).map_err(MariaDbError::io(
            format!("give {} to the user `{}`", path.display(), self.name),
        ))
    }
}

/// Looks for a program in `PATH` and where servers are installed, which ordinary users' `PATH`
/// leaves out.
pub(super) fn find(program: &'static str) -> Result<PathBuf, MariaDbError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(MariaDbError::Missing { program })
}

const DIE_WITH_PARENT: [&str; 2] = ["--pdeathsig", "KILL"];

/// The program `setpriv`, if it is one that can do this; BusyBox's cannot.
fn setpriv() -> Option<&'static Path> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    let look = || {
        let setpriv = find("setpriv").ok()?;
        let tried = Command::new(&setpriv)
            .args(DIE_WITH_PARENT)
            .arg("true")
            .output()
            .ok()?;
        tried.status.success().then_some(setpriv)
    };
    SETPRIV.get_or_init(look).as_deref()
}

/// A command that runs `program` as `owner` and, if possible, dies with us.
pub(super) fn command(program: &Path, owner: Option<&Owner>) -> Command {
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(DIE_WITH_PARENT).arg(program);
            command
        }
        None => Command::new(program),
    };
    if let Some(owner) = owner {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    command
}

struct Order {
    command: Command,
    started: Sender<io::Result<Child>>,
}

/// Starts a process from the thread that never ends.
pub(super) fn launch(command: Command) -> io::Result<Child> {
    static LAUNCHER: Mutex<Option<Sender<Order>>> = Mutex::new(None);
    let gone = || io::Error::other("the thread that starts servers has ended");

    let (started, child) = channel();
    let mut launcher = LAUNCHER.lock().unwrap_or_else(PoisonError::into_inner);
    let orders = match &*launcher {
        Some(orders) => orders,
        None => {
            let (orders, received) = channel::<Order>();
            thread::Builder::new()
                .name("mariadb-launcher".to_owned())
                .spawn(move || {
                    for mut order in received {
                        // Whoever ordered it waits below.
                        let _ = order.started.send(order.command.spawn());
                    }
                })?;
            launcher.insert(orders)
        }
    };
    orders
        .send(Order { command, started })
        .map_err(|_| gone())?;
    drop(launcher);
    child.recv().map_err(|_| gone())?
}

/// How a wait for a new server ended.
#[derive(Debug)]
pub(super) enum Start {
    Answers,
    Ended(std::process::ExitStatus),
    Silent,
}

/// Waits until the server has written its pid file, which it does after binding its port, and
/// greets.
///
/// The greeting alone would not do: it could be another server's, if that one took the port.
pub(super) fn wait_until_it_answers(
    child: &mut Child,
    pid_file: &Path,
    addr: SocketAddr,
    limit: Duration,
) -> io::Result<Start> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Start::Ended(status));
        }
        let written = fs::read_to_string(pid_file).unwrap_or_default();
        if written.trim() == child.id().to_string() && greets(addr) {
            return Ok(Start::Answers);
        }
        if begun.elapsed() >= limit {
            return Ok(Start::Silent);
        }
        thread::sleep(POLL);
    }
}

/// Whether a MySQL server greets there, within a second.
fn greets(addr: SocketAddr) -> bool {
    const PROTOCOL: u8 = 10;
    let limit = Duration::from_secs(1);
    let greeting = || -> io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&addr, limit)?;
        stream.set_read_timeout(Some(limit))?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        // Waits until the server has let go of this connection: it counts among those it allows.
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(start)
    };
    greeting().is_ok_and(|start| start[4] == PROTOCOL)
}

/// Waits for the process to end; false if it has not by the limit.
pub(super) fn wait_until_it_ends(child: &mut Child, limit: Duration) -> io::Result<bool> {
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() >= limit {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

pub(super) fn signal(pid: u32, signal: Signal) -> Result<(), MariaDbError> {
    // A process id fits: the kernel's limit is 2^22.
    let target = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
    kill(target, signal).map_err(|source| MariaDbError::Signal {
        signal: signal.as_str(),
        pid,
        source,
    })
}

/// Waits until every thread of the process is stopped: a signal is sent in no time, but taken
/// later. Gives up after two seconds, or at once where there is no /proc to look at.
pub(super) fn wait_until_stopped(pid: u32) {
    let begun = Instant::now();
    let stopped = || -> io::Result<bool> {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            // The state follows the name, which stands in brackets and may hold anything.
            let state = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next());
            if !matches!(state, Some('T' | 't')) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    while matches!(stopped(), Ok(false)) && begun.elapsed() < Duration::from_secs(2) {
        thread::sleep(POLL);
    }
}

/// The last lines of a log.
pub(super) fn tail(log: &[u8]) -> String {
    let log = String::from_utf8_lossy(log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_way_to_get_it() {
        let error = find("mariadbd-that-nobody-has").unwrap_err().to_string();
        assert!(error.contains("mariadbd-that-nobody-has"), "{error}");
        assert!(error.contains("apt-get install mariadb-server"), "{error}");
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        let log: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let tail = tail(log.as_bytes());
        assert!(
            tail.starts_with("line 75\n") && tail.ends_with("line 99"),
            "{tail}"
        );
    }
}
