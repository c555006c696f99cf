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
    Silent,
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
        if written.trim() == process.id().to_string() && greets(addr) {
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
