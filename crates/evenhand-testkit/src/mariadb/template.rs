//! A data directory to start from, made once and copied for each server.
//!
//! To fill one takes longer than everything else about a server. So it is done once in a process,
//! and the result is kept in memory: a folder would outlive the process, since nothing is dropped at
//! its end. Most of the 20 MB of MariaDB's, 95 MB of MySQL's, are zeros, which are not kept.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::MariaDbError;
use super::install;
use super::owner::Owner;
use super::program::Program;
use crate::lock::lock;

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
    /// The process's one template for this server, made at the first call.
    pub(super) fn get(
        server: &Program,
        owner: Option<&Owner>,
    ) -> Result<Arc<Template>, MariaDbError> {
        static TEMPLATES: Mutex<Vec<(PathBuf, Arc<Template>)>> = Mutex::new(Vec::new());
        // A second caller waits for the first; after a failure the next caller tries again.
        let mut templates = lock(&TEMPLATES);
        if let Some((_, made)) = templates.iter().find(|(path, _)| *path == server.path) {
            return Ok(made.clone());
        }
        let made = Arc::new(Template::make(server, owner)?);
        templates.push((server.path.clone(), made.clone()));
        Ok(made)
    }

    fn make(server: &Program, owner: Option<&Owner>) -> Result<Template, MariaDbError> {
        let folder = tempfile::Builder::new()
            .prefix("evenhand-mariadb-template-")
            .tempdir()
            .map_err(MariaDbError::io("create a temporary folder"))?;
        if let Some(owner) = owner {
            owner.give(folder.path())?;
        }
        install::fill(server, folder.path(), owner)?;
        let mut entries = Vec::new();
        read(&folder.path().join("data"), Path::new(""), &mut entries)?;
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
        } else if !install::OWN_FILES
            .iter()
            .any(|own| path.as_path() == Path::new(own))
        {
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
