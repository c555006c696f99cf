//! Where MariaDB's programs are.

use std::path::PathBuf;

use super::error::MariaDbError;
use crate::process;

/// Looks for a program of MariaDB's in `PATH` and where servers are installed.
pub(super) fn find(program: &'static str) -> Result<PathBuf, MariaDbError> {
    process::find(program).ok_or(MariaDbError::Missing { program })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_way_to_get_it() {
        let error = find("mariadbd-that-does-not-exist")
            .unwrap_err()
            .to_string();
        assert!(error.contains("mariadbd-that-does-not-exist"), "{error}");
        assert!(error.contains("apt-get install mariadb-server"), "{error}");
    }
}
