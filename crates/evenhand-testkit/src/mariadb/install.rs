//! How a data directory is filled: each maker has a way of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::error::MariaDbError;
use super::owner::Owner;
use super::program::{Maker, Program, install_db};
use crate::process::{self, tail};

/// What servers of a maker's are given here beside what every server is, when their data directory
/// is filled and when they run: small files, and nothing that waits for a disk. A kill loses no
/// commit; a power cut may. What starts with `loose` is unknown to some versions.
pub(super) fn settings(maker: Maker) -> &'static [&'static str] {
    match maker {
        Maker::MariaDb => &[
            "--innodb-log-file-size=4M",
            "--innodb-data-file-path=ibdata1:10M:autoextend",
        ],
        Maker::MySql => &[
            "--loose-innodb-redo-log-capacity=16M",
            "--loose-innodb-flush-method=nosync",
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-innodb-doublewrite",
            "--loose-mysqlx=OFF",
            "--secure-file-priv=NULL",
        ],
    }
}

/// What no two servers may share: MySQL's `server_uuid`, of which each makes its own.
pub(super) const OWN_FILES: [&str; 1] = ["auto.cnf"];

/// Fills `folder/data`: `root` logs in without a password, and there is a database `test`.
pub(super) fn fill(
    server: &Program,
    folder: &Path,
    owner: Option<&Owner>,
) -> Result<(), MariaDbError> {
    let data = folder.join("data");
    let (mut command, program) = match server.maker {
        Maker::MariaDb => (mariadb(server, owner)?, "mariadb-install-db"),
        Maker::MySql => (
            mysql(server, folder, owner)?,
            "mysqld --initialize-insecure",
        ),
    };
    command
        .args(settings(server.maker))
        .arg(format!("--datadir={}", data.display()))
        // Ours may be one that the server's user cannot write to.
        .env("TMPDIR", folder);
    let done = command
        .output()
        .map_err(MariaDbError::io(format!("run {program}")))?;
    if !done.status.success() {
        // What it writes to stdout is general advice.
        return Err(MariaDbError::Install {
            program,
            status: done.status,
            output: tail(&done.stderr),
        });
    }
    // A database is a folder; MySQL has it already.
    if server.maker == Maker::MariaDb {
        fs::create_dir_all(data.join("test"))
            .map_err(MariaDbError::io("create the database `test`"))?;
    }
    Ok(())
}

fn mariadb(server: &Program, owner: Option<&Owner>) -> Result<Command, MariaDbError> {
    let mut command = Command::new(install_db(server)?);
    command.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
    ]);
    if let Some(base) = server.base() {
        // It would look for a program that resolves names, which is not needed here.
        command
            .arg("--force")
            .arg(format!("--basedir={}", base.display()));
    }
    if let Some(owner) = owner {
        command.arg(format!("--user={}", owner.name));
    }
    Ok(command)
}

fn mysql(server: &Program, folder: &Path, owner: Option<&Owner>) -> Result<Command, MariaDbError> {
    // Its own root may only come from `localhost`, which an address is not where no name is
    // resolved.
    const ROOT: &str = "CREATE USER root@'127.0.0.1';\n\
         GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n\
         GRANT PROXY ON ''@'' TO root@'127.0.0.1' WITH GRANT OPTION;\n\
         CREATE DATABASE test;\n";
    let statements = folder.join("root.sql");
    fs::write(&statements, ROOT).map_err(MariaDbError::io("write the statements for root"))?;
    if let Some(owner) = owner {
        owner.give(&statements)?;
    }
    let mut command = process::command(&server.path, owner.map(Owner::ids));
    command
        .args(["--no-defaults", "--initialize-insecure", "--skip-log-bin"])
        .arg(format!("--init-file={}", statements.display()));
    Ok(command)
}
