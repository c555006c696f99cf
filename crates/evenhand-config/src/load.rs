//! How a configuration is read: from a file or a text, with or without environment variables and other
//! files.

use std::ffi::OsStr;
use std::path::Path;
use std::str::FromStr;

use crate::plan::Config;
use crate::problem::Error;
use crate::read::read;
use crate::sources::Sources;
use crate::tree::Format;

impl Config {
    /// Reads and checks the file at `path`, with the environment variables of this process: as JSON with
    /// Django's keys if its name ends in `.json`, and as TOML otherwise.
    ///
    /// This is [`Sources::process()`](Sources::process)[`.load(path)`](Sources::load).
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the file cannot be read or is not UTF-8. [`Error::Invalid`], with every problem in
    /// it, if it is not a valid configuration.
    pub fn load(path: impl AsRef<Path>) -> Result<Config, Error> {
        Sources::process().load(path)
    }

    /// Checks a TOML text without any environment variable or other file. `origin` is what errors call the
    /// text, such as a file name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with every problem in the text.
    pub fn parse(text: &str, origin: &str) -> Result<Config, Error> {
        Sources::none().parse(text, origin)
    }

    /// Like [`parse`](Self::parse), for JSON with Django's keys: the dictionary of Django's `DATABASES`, or
    /// an object that has it under `DATABASES`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with every problem in the text.
    pub fn parse_json(text: &str, origin: &str) -> Result<Config, Error> {
        Sources::none().parse_json(text, origin)
    }
}

/// Like [`Config::parse`], for a text without a file; errors call it `<inline>`.
impl FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Config, Error> {
        Config::parse(text, "<inline>")
    }
}

impl Sources {
    /// Reads and checks the file at `path`, as [`Config::load`] does, with these variables. Relative paths
    /// in the file are relative to its directory.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the file cannot be read or is not UTF-8. [`Error::Invalid`], with every problem in
    /// it, if it is not a valid configuration.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Config, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let is_json = |extension: &OsStr| extension.eq_ignore_ascii_case("json");
        let format = if path.extension().is_some_and(is_json) {
            Format::Django
        } else {
            Format::Toml
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let sources = self.clone().files_in(directory);
        let origin = path.display().to_string();
        let mut config = read(&text, &origin, format, &sources).map_err(Error::Invalid)?;
        config.inputs.insert(0, path.to_owned());
        Ok(config)
    }

    /// Checks a TOML text, as [`Config::parse`] does, with these variables and files.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with every problem in the text.
    pub fn parse(&self, text: &str, origin: &str) -> Result<Config, Error> {
        read(text, origin, Format::Toml, self).map_err(Error::Invalid)
    }

    /// Checks a JSON text, as [`Config::parse_json`] does, with these variables and files.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with every problem in the text.
    pub fn parse_json(&self, text: &str, origin: &str) -> Result<Config, Error> {
        read(text, origin, Format::Django, self).map_err(Error::Invalid)
    }
}
