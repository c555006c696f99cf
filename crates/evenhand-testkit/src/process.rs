//! A server's process: how its program is found, and how it is started, waited for and signalled.
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
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid};

use crate::lock::lock;

/// How often a condition is looked at that cannot be waited for.
pub(crate) const POLL: Duration = Duration::from_millis(5);
/// How much of a log goes into an error.
const TAIL_LINES: usize = 25;
const ERROR_LINES: usize = 10;

/// Looks for a program in `PATH` and where servers are installed, which ordinary users' `PATH`
/// leaves out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

const DIE_WITH_PARENT: [&str; 2] = ["--pdeathsig", "KILL"];

/// The program `setpriv`, if it is one that can do this; BusyBox's cannot.
fn setpriv() -> Option<&'static Path> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    let look = || {
        let setpriv = find("setpriv")?;
        let tried = Command::new(&setpriv)
            .args(DIE_WITH_PARENT)
            .arg("true")
            .output()
            .ok()?;
        tried.status.success().then_some(setpriv)
    };
    SETPRIV.get_or_init(look).as_deref()
}

/// A command that runs `program` as this user, or as ours, and, if possible, dies with us.
pub(crate) fn command(program: &Path, user: Option<(Uid, Gid)>) -> Command {
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(DIE_WITH_PARENT).arg(program);
            command
        }
        None => Command::new(program),
    };
    if let Some((uid, gid)) = user {
        command.uid(uid.as_raw()).gid(gid.as_raw());
    }
    command
}

struct Order {
    command: Command,
    started: Sender<io::Result<Child>>,
}

/// Starts a process from the thread that never ends.
pub(crate) fn launch(command: Command) -> io::Result<Process> {
    static LAUNCHER: Mutex<Option<Sender<Order>>> = Mutex::new(None);
    let gone = || io::Error::other("the thread that starts servers has ended");

    let (started, child) = channel();
    let mut launcher = lock(&LAUNCHER);
    let orders = match &*launcher {
        Some(orders) => orders,
        None => {
            let (orders, received) = channel::<Order>();
            thread::Builder::new()
                .name("testkit-launcher".to_owned())
                .spawn(move || {
                    for mut order in received {
                        // The caller waits below.
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
    child.recv().map_err(|_| gone())?.map(Process)
}

/// A running process; killed on drop, also when it is frozen.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Until the process is waited for, its id cannot become another's.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Waits for it to end; false if it has not by the limit.
    pub(crate) fn wait_until_it_ends(&mut self, limit: Duration) -> io::Result<bool> {
        let begun = Instant::now();
        while self.ended()?.is_none() {
            if begun.elapsed() >= limit {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }

    /// Sends SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(|_| ())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Errno> {
        // A process id fits: the kernel's limit is 2^22.
        let target = Pid::from_raw(i32::try_from(self.id()).unwrap_or(i32::MAX));
        kill(target, signal)
    }

    /// Waits until every thread of it is stopped: SIGSTOP is sent in no time, but taken later.
    /// Gives up after two seconds, or at once where there is no /proc to look at.
    pub(crate) fn wait_until_stopped(&self) {
        let begun = Instant::now();
        let stopped = || -> io::Result<bool> {
            for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
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
}

impl Drop for Process {
    fn drop(&mut self) {
        // A failure cannot be reported from here.
        let _ = self.kill();
    }
}

/// The last lines of a log, after the first of the earlier ones that tell errors.
pub(crate) fn tail(log: &[u8]) -> String {
    let log = String::from_utf8_lossy(log);
    let lines: Vec<&str> = log.lines().collect();
    let (earlier, last) = lines.split_at(lines.len().saturating_sub(TAIL_LINES));
    let errors = earlier.iter().filter(|line| line.contains("ERROR"));
    let told: Vec<&str> = errors.take(ERROR_LINES).chain(last).copied().collect();
    told.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_and_earlier_errors() {
        let mut lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        lines[7] = "[ERROR] this is why".to_owned();
        let tail = tail(lines.join("\n").as_bytes());
        assert!(
            tail.starts_with("[ERROR] this is why\nline 75\n") && tail.ends_with("line 99"),
            "{tail}"
        );
    }
}
