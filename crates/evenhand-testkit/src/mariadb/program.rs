//! Which server is started, and where its programs are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::MariaDbError;
use crate::process;

/// Names the server to start, before what is in `PATH`.
const VARIABLE: &str = "EVENHAND_MYSQLD";

/// Who made a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// MariaDB, with or without Galera.
    MariaDb,
    /// MySQL itself.
    MySql,
}

impl Maker {
    /// Whose server the tests run on: that of `EVENHAND_MYSQLD`; else `mariadbd`, else `mysqld`, in
    /// `PATH`.
    ///
    /// # Errors
    /// If there is no server, or it does not run.
    pub fn in_use() -> Result<Maker, MariaDbError> {
        Program::find(None).map(|program| program.maker)
    }

    /// Whether the tests run on a server of this maker's; if not, writes why the caller's test
    /// needs one. A server that is missing is left for the test to report.
    pub fn only(self, why: &str) -> bool {
        let fits = Maker::in_use().map_or(true, |maker| maker == self);
        if !fits {
            println!("only on {self:?}: {why}");
        }
        fits
    }

    /// Whether there is a server of this maker's, be it the one that the tests run on or another; if
    /// not, writes why the caller's test needs one.
    pub fn is_here(self, why: &str) -> bool {
        let here = Program::find(Some(self)).is_ok();
        if !here {
            println!("only on {self:?}: {why}");
        }
        here
    }
}

/// A server's program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) maker: Maker,
    /// Named by the variable: what belongs to it is beside it.
    named: bool,
}

impl Program {
    /// The server to start; with a maker, the first of its.
    pub(crate) fn find(maker: Option<Maker>) -> Result<Program, MariaDbError> {
        let named = env::var_os(VARIABLE).map(|path| (PathBuf::from(path), true));
        let installed = ["mariadbd", "mysqld"].map(|name| process::find(name).zip(Some(false)));
        let mut refused = None;
        for (path, named) in named.into_iter().chain(installed.into_iter().flatten()) {
            match made_by(&path) {
                Ok(found) if maker.is_none_or(|maker| maker == found) => {
                    let maker = found;
                    return Ok(Program { path, maker, named });
                }
                Ok(_) => {}
                // Else a mistyped name would run the tests on another server.
                Err(error) if named => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        let program = match maker {
            Some(Maker::MySql) => "mysqld of MySQL",
            _ => "mariadbd",
        };
        Err(refused.unwrap_or(MariaDbError::Missing { program }))
    }

    /// The folder that it is installed in, such as `/usr`, if that may not be where it looks itself.
    pub(crate) fn base(&self) -> Option<&Path> {
        if !self.named {
            return None;
        }
        self.path.parent()?.parent()
    }

    /// Another program or file of the same installation.
    pub(crate) fn beside(&self, names: &[&str]) -> Option<PathBuf> {
        let base = self.base()?;
        let mut candidates = names.iter().map(|name| base.join(name));
        candidates.find(|candidate| candidate.is_file())
    }
}

fn made_by(path: &Path) -> Result<Maker, MariaDbError> {
    let run = Command::new(path)
        .args(["--no-defaults", "--version"])
        .output();
    let output = run.map_err(MariaDbError::io(format!("run {}", path.display())))?;
    if !output.status.success() {
        return Err(MariaDbError::Unusable {
            program: path.to_owned(),
            status: output.status,
            output: process::tail(&output.stderr),
        });
    }
    Ok(maker_of(&String::from_utf8_lossy(&output.stdout)))
}

/// MariaDB says so in its version; its `mysqld` is often a link to `mariadbd`.
fn maker_of(version: &str) -> Maker {
    if version.contains("MariaDB") {
        Maker::MariaDb
    } else {
        Maker::MySql
    }
}

/// `mariadb-install-db`: that of the server's own installation, or one that is installed.
pub(super) fn install_db(server: &Program) -> Result<PathBuf, MariaDbError> {
    const NAME: &str = "mariadb-install-db";
    let own = ["bin/mariadb-install-db", "scripts/mariadb-install-db"];
    server
        .beside(&own)
        .or_else(|| process::find(NAME))
        .ok_or(MariaDbError::Missing { program: NAME })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_way_to_get_it() {
        let program = "mariadbd";
        let error = MariaDbError::Missing { program }.to_string();
        assert!(error.contains("mariadbd is neither in PATH"), "{error}");
        assert!(error.contains("apt-get install mariadb-server"), "{error}");
        assert!(error.contains(VARIABLE), "{error}");
    }

    #[test]
    fn a_version_tells_the_maker() {
        let mariadb = "mysqld  Ver 11.8.9-MariaDB-0+deb13u1 from Debian for debian-linux-gnu";
        assert_eq!(maker_of(mariadb), Maker::MariaDb);
        let mysql = "mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))";
        assert_eq!(maker_of(mysql), Maker::MySql);
    }

    #[test]
    fn a_program_that_is_no_server_is_named() {
        let error = made_by(Path::new("/bin/false")).unwrap_err().to_string();
        assert!(error.contains("/bin/false"), "{error}");
    }
}
