//! Whether a server that was started answers.

use std::fs;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{POLL, Process};

/// How a wait for a new server ended.
#[derive(Debug)]
pub(super) enum Start {
    Answers,
    Ended(ExitStatus),
    /// With what the last client was met with.
    Silent(String),
}

/// Waits until the server has written its pid file, which it does after binding its port, and
/// greets.
///
/// The greeting alone would not do: it could be another server's, if that one took the port.
pub(super) fn wait_until_it_answers(
    process: &mut Process,
    pid_file: &Path,
    addr: SocketAddr,
    limit: Duration,
) -> io::Result<Start> {
    let begun = Instant::now();
    loop {
        if let Some(status) = process.ended()? {
            return Ok(Start::Ended(status));
        }
        let written = fs::read_to_string(pid_file).unwrap_or_default();
        let met = if written.trim() == process.id().to_string() {
            match greeting(addr) {
                Ok(None) => return Ok(Start::Answers),
                Ok(Some(refusal)) => refusal,
                Err(error) => error.to_string(),
            }
        } else {
            "it does not listen yet".to_owned()
        };
        if begun.elapsed() >= limit {
            return Ok(Start::Silent(met));
        }
        thread::sleep(POLL);
    }
}

/// Whether a MySQL server greets there, within a second; if not, what it says instead.
fn greeting(addr: SocketAddr) -> io::Result<Option<String>> {
    const PROTOCOL: u8 = 10;
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&addr, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let mut start = [0; 5];
    stream.read_exact(&mut start)?;
    // Waits until the server has let go of this connection: it counts among those it allows.
    stream.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    let greets = start[4] == PROTOCOL;
    Ok((!greets).then(|| format!("it said {:?}", String::from_utf8_lossy(&rest))))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;
    use crate::process;

    #[test]
    fn a_server_that_refuses_everybody_is_quoted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let refusal = b"\x42\0\0\0\xff\x6a\x04Host '127.0.0.1' is not allowed to connect";
        thread::spawn(move || {
            for stream in listener.incoming() {
                stream.unwrap().write_all(refusal).unwrap();
            }
        });
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut process = process::launch(command).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let limit = Duration::from_millis(50);
        let mut wait = || wait_until_it_answers(&mut process, &pid_file, addr, limit).unwrap();
        let Start::Silent(met) = wait() else { panic!() };
        assert_eq!(met, "it does not listen yet");
        fs::write(&pid_file, process.id().to_string()).unwrap();
        let start = wait_until_it_answers(&mut process, &pid_file, addr, limit).unwrap();
        let Start::Silent(met) = start else { panic!() };
        assert!(met.contains("Host '127.0.0.1' is not allowed"), "{met}");
    }
}
