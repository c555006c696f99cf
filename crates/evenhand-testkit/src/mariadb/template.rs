//! A data directory to start from, made once and copied for each server.
//!
//! `mariadb-install-db` takes longer than everything else about a server. So it runs once in a
//! process, and its result is kept in memory: a folder would outlive the process, since nothing is
//! dropped at its end. Most of the 20 MB are zeros at the end of files, which are not kept.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::error::MariaDbError;
use super::owner::Owner;
use super::program::find;
use crate::lock::lock;
use crate::process::tail;

/// Sizes that servers on this template must be given, too.
pub(super) const LOG_FILE_SIZE: &str = "--innodb-log-file-size=4M";
pub(super) const DATA_FILE_PATH: &str = "--innodb-data-file-path=ibdata1:10M:autoextend";

/// A data directory in memory. It has the database `test`, and `root` without a password.
#[derive(Debug)]
pub(super) struct Template {
    // A folder stands before what is in it.
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    Folder {
        path: PathBuf,
    },
    /// A file's start, and how long it is with the zeros that follow.
    File {
        path: PathBuf,
        content: Vec<u8>,
        length: u64,
    },
}

impl Template {
    /// The process's one template, made at the first call.
    pub(super) fn get(owner: Option<&Owner>) -> Result<Arc<Template>, MariaDbError> {
        static TEMPLATE: Mutex<Option<Arc<Template>>> = Mutex::new(None);
        // A second caller waits for the first; after a failure the next caller tries again.
        let mut template = lock(&TEMPLATE);
        if let Some(template) = &*template {
            return Ok(template.clone());
        }
        let made = Arc::new(Template::make(owner)?);
        *template = Some(made.clone());
        Ok(made)
    }

    fn make(owner: Option<&Owner>) -> Result<Template, MariaDbError> {
        let install = find("mariadb-install-db")?;
        let folder = tempfile::Builder::new()
            .prefix("evenhand-mariadb-template-")
            .tempdir()
            .map_err(MariaDbError::io("create a temporary folder"))?;
        let data = folder.path().join("data");
        let mut command = Command::new(install);
        command
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .args(["--skip-name-resolve", LOG_FILE_SIZE, DATA_FILE_PATH])
            .arg(format!("--datadir={}", data.display()))
            // Ours may be one that the server's user cannot write to.
            .env("TMPDIR", folder.path());
        if let Some(owner) = owner {
            owner.give(folder.path())?;
            command.arg(format!("--user={}", owner.name));
        }
        let done = command
            .output()
            .map_err(MariaDbError::io("run mariadb-install-db"))?;
        if !done.status.success() {
            // What it writes to stdout is general advice.
            return Err(MariaDbError::Install {
                status: done.status,
                output: tail(&done.stderr),
            });
        }
        // A database is a folder.
        fs::create_dir_all(data.join("test"))
            .map_err(MariaDbError::io("create the database `test`"))?;
        let mut entries = Vec::new();
        read(&data, Path::new(""), &mut entries)?;
        Ok(Template { entries })
    }

    /// Writes the data directory to `target`, which must not exist.
    pub(super) fn write(&self, target: &Path, owner: Option<&Owner>) -> Result<(), MariaDbError> {
        let give = |path: &Path| owner.map_or(Ok(()), |owner| owner.give(path));
        fs::create_dir(target).map_err(failed("create", target))?;
        give(target)?;
        for entry in &self.entries {
            match entry {
                Entry::Folder { path } => {
                    let path = target.join(path);
                    fs::create_dir(&path).map_err(failed("create", &path))?;
                    give(&path)?;
                }
                Entry::File {
                    path,
                    content,
                    length,
                } => {
                    let path = target.join(path);
                    let write = || {
                        let mut file = File::create_new(&path)?;
                        file.write_all(content)?;
                        file.set_len(*length)
                    };
                    write().map_err(failed("write", &path))?;
                    give(&path)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads the folder `root/below` with all that is in it.
fn read(root: &Path, below: &Path, entries: &mut Vec<Entry>) -> Result<(), MariaDbError> {
    let folder = root.join(below);
    for found in fs::read_dir(&folder).map_err(failed("read", &folder))? {
        let found = found.map_err(failed("read", &folder))?;
        let path = below.join(found.file_name());
        if found
            .file_type()
            .map_err(failed("read", &found.path()))?
            .is_dir()
        {
            entries.push(Entry::Folder { path: path.clone() });
            read(root, &path, entries)?;
        } else {
            let mut content = fs::read(found.path()).map_err(failed("read", &found.path()))?;
            let length = content.len() as u64;
            let used = content
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            content.truncate(used);
            content.shrink_to_fit();
            entries.push(Entry::File {
                path,
                content,
                length,
            });
        }
    }
    Ok(())
}

fn failed(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> MariaDbError {
    MariaDbError::io(format!("{verb} {}", path.display()))
}
