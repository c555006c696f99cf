//! node-mysql2's `PoolCluster` in the same outage.
//!
//! It is installed by npm into a temporary folder when it is asked for. Where that cannot be done,
//! it is left out, and the reason is given.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::figures::Figures;
use super::outage::{BEFORE, CLIENTS, Fault, PAUSE};
use super::server;

/// The version that is compared.
pub const VERSION: &str = "3.24.6";

/// It, installed.
pub struct PoolCluster {
    folder: TempDir,
}

/// Ends the process when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl PoolCluster {
    /// Its name in the tables.
    pub const NAME: &str = "node-mysql2 PoolCluster";

    /// Installs it.
    ///
    /// # Errors
    ///
    /// Why it could not be, for the one who reads the tables: no node, no npm, no registry.
    pub fn install() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no folder for it: {error}"))?;
        for program in ["node", "npm"] {
            let found = Command::new(program).arg("--version").output();
            found.map_err(|error| format!("{program} cannot be run: {error}"))?;
        }
        let npm = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(folder.path())
            .arg(format!("mysql2@{VERSION}"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("npm cannot be run: {error}"))?;
        if !npm.status.success() {
            let said = String::from_utf8_lossy(&npm.stderr);
            let line = said.lines().next().unwrap_or("no reason given");
            return Err(format!("npm could not install mysql2: {line}"));
        }
        let script = folder.path().join("clients.js");
        fs::write(script, include_str!("pool_cluster.js")).map_err(|error| error.to_string())?;
        Ok(Self { folder })
    }

    /// Runs it through a fault, and for `window` after it.
    ///
    /// # Errors
    ///
    /// If its process ends early or says something else than figures.
    pub fn run(&self, fault: Fault, window: Duration) -> Result<Figures, String> {
        let mut servers = server::start(2);
        let child = Command::new("node")
            .arg(self.folder.path().join("clients.js"))
            .args([CLIENTS.to_string(), PAUSE.as_millis().to_string()])
            .args(servers.iter().map(|server| server.port().to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node cannot be run: {error}"))?;
        let mut running = Running(child);
        let said = |error: std::io::Error| format!("node ended early: {error}");
        let mut input = running.0.stdin.take().ok_or("node takes no input")?;
        let output = running.0.stdout.take().ok_or("node gives no output")?;
        let mut lines = BufReader::new(output).lines();
        match lines.next().transpose().map_err(said)?.as_deref() {
            Some("ready") => {}
            other => return Err(format!("node is not ready: {other:?}")),
        }
        std::thread::sleep(BEFORE);
        input.write_all(b"fault\n").map_err(said)?;
        input.flush().map_err(said)?;
        fault.strike(&mut servers[0]);
        std::thread::sleep(window);
        input.write_all(b"end\n").map_err(said)?;
        let line = lines.next().transpose().map_err(said)?;
        read(&line.unwrap_or_default())
    }
}

/// The figures of the script's last line: three waits in milliseconds, four counts among them.
fn read(line: &str) -> Result<Figures, String> {
    let numbers: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
    match numbers.as_deref() {
        Ok(
            &[
                checkout,
                query,
                failed_checkouts,
                failed_queries,
                stuck,
                answered,
                silence,
            ],
        ) => {
            let wait = |ms: f64| Duration::from_secs_f64(ms.max(0.0) / 1e3);
            Ok(Figures {
                longest_checkout: wait(checkout),
                longest_query: wait(query),
                failed_checkouts: failed_checkouts as u64,
                failed_queries: failed_queries as u64,
                stuck: stuck as u64,
                answered: answered as u64,
                silence: wait(silence),
            })
        }
        _ => Err(format!("node said `{line}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_figures_are_read_in_its_order() {
        let expected = Figures {
            longest_checkout: Duration::from_millis(1),
            longest_query: Duration::from_millis(2),
            failed_checkouts: 3,
            failed_queries: 4,
            stuck: 5,
            answered: 6,
            silence: Duration::from_millis(7),
        };
        assert_eq!(read("1.0 2 3 4 5 6 7.0"), Ok(expected));
        assert!(read("1 2 3").is_err());
        assert!(read("undefined").is_err());
    }
}
