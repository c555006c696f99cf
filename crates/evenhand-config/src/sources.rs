//! What a configuration is read from besides its file: environment variables and other files.
//!
//! Both are passed in, so that a text from an untrusted source has no access to them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The greatest size of a password file. A larger one is not a password.
const MAX_BYTES: u64 = 64 * 1024;

/// Environment variables, and the directory of other files, from which a configuration is read.
///
/// ```
/// use evenhand_config::Sources;
///
/// let text = r#"
/// [databases.db0]
/// host = "10.0.0.1"
/// user = "app"
/// password_env = "SHOP_PASSWORD"
///
/// [databases.default]
/// peers = ["db0"]
/// "#;
/// let sources = Sources::none().variables([
///     ("SHOP_PASSWORD", "secret"),
///     ("EVENHAND__DATABASES__DEFAULT__CHECK_INTERVAL", "10s"),
/// ]);
/// let config = sources.parse(text, "evenhand.toml")?;
/// assert_eq!(config.balanced("default").unwrap().check_interval().as_secs(), 10);
/// # Ok::<(), evenhand_config::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Sources {
    /// `None` is a value that is not UTF-8.
    variables: BTreeMap<String, Option<String>>,
    directory: Option<PathBuf>,
}

impl Sources {
    /// No variables and no files, as [`Default`].
    pub fn none() -> Self {
        Sources::default()
    }

    /// The variables of this process, and files relative to its working directory.
    pub fn process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            // A file cannot name a variable that is not UTF-8.
            Some((name.into_string().ok()?, value.into_string().ok()))
        });
        Sources {
            variables: variables.collect(),
            directory: Some(PathBuf::new()),
        }
    }

    /// Adds environment variables. Later values replace earlier ones.
    pub fn variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter();
        let owned = variables.map(|(name, value)| (name.into(), Some(value.into())));
        self.variables.extend(owned);
        self
    }

    /// Allows password and TLS files to be read. Relative paths are relative to `directory`; absolute
    /// paths, and those with `..`, may be outside it. Without it `password_file` is an error, and TLS files
    /// are not checked.
    pub fn files_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// A variable if it is set, and its value if that is UTF-8.
    pub(crate) fn variable(&self, name: &str) -> Option<Option<&str>> {
        self.variables.get(name).map(Option::as_deref)
    }

    /// All variables, sorted by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The path of a file that the configuration names.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(name),
            None => PathBuf::from(name),
        }
    }

    /// Whether files may be read.
    pub(crate) fn reads_files(&self) -> bool {
        self.directory.is_some()
    }
}

/// Shows no values.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("variables", &self.variables.len())
            .field("directory", &self.directory)
            .finish()
    }
}

/// The text of a password file.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    check_file(path)?;
    let mut text = String::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is too large for a password"));
    }
    Ok(text)
}

/// Checks that a path is a file that can be opened. Reading a pipe or a terminal would block.
pub(crate) fn check_file(path: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    File::open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let sources = Sources::none().variables([("NAME", "hunter2")]);
        assert!(!format!("{sources:?} {sources:#?}").contains("hunter2"));
    }

    #[test]
    fn directory_is_not_read() {
        assert_eq!(
            check_file(Path::new("/")).unwrap_err().to_string(),
            "it is not a file"
        );
    }
}
