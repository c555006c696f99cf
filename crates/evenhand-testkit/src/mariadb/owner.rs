//! The user that servers run as.

use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use nix::unistd::{Gid, Uid, User};

use super::error::MariaDbError;

/// The user that the server runs as, when we are root.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) name: String,
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// The user `mysql` if we are root; otherwise the current user.
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

    pub(super) fn ids(&self) -> (Uid, Gid) {
        (self.uid, self.gid)
    }

    /// Makes a file or folder this user's.
    pub(super) fn give(&self, path: &Path) -> Result<(), MariaDbError> {
        chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw())).map_err(MariaDbError::io(
            format!("give {} to the user `{}`", path.display(), self.name),
        ))
    }
}
