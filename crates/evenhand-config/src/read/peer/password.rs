//! A password: in the file, in an environment variable, or in a password file.

use crate::plan::PasswordSource;
use crate::problem::name;
use crate::read::context::Context;
use crate::read::value::{self, given, refuse, string};
use crate::secret::Secret;
use crate::sources;
use crate::tree::Table;

const KEYS: [&str; 3] = ["password", "password_env", "password_file"];

/// A password, and where it was found.
#[derive(Clone)]
pub(super) struct Password {
    /// `None` for an empty password, which hides an inherited one.
    pub(super) secret: Option<Secret>,
    pub(super) source: PasswordSource,
}

/// The password that a table gives.
pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Option<Password> {
    let mut keys = KEYS.into_iter().filter(|key| table.contains_key(*key));
    if let (Some(first), Some(item)) = (keys.next(), keys.next().and_then(|key| table.get(key))) {
        let message = format!(
            "a second way to give the password: remove it, or remove {}",
            cx.spell(first)
        );
        cx.report.key_error(&item.location, message);
    }
    let inline = value::read(table, "password", cx).map(|password: String| Password {
        secret: (!password.is_empty()).then(|| Secret::from(password)),
        source: PasswordSource::Inline,
    });
    let from_variable = from_variable(table, cx);
    let from_file = from_file(table, cx);
    inline.or(from_variable).or(from_file)
}

fn from_variable(table: &Table, cx: &mut Context<'_>) -> Option<Password> {
    let (item, kind) = given(table, "password_env")?;
    let name = string(item, kind, cx)?;
    // A text that is no name may be the password itself.
    let shown = if name::is_a_variable(name) {
        format!("the variable `{name}`")
    } else {
        "the variable".to_owned()
    };
    let message = match cx.sources.variable(name) {
        Some(Some("")) => format!("{shown} is empty"),
        Some(Some(password)) => {
            return Some(Password {
                secret: Some(Secret::from(password)),
                source: PasswordSource::Variable(name.to_owned()),
            });
        }
        Some(None) => format!("{shown} is not UTF-8"),
        None if name.is_empty() => "empty: give the name of a variable".to_owned(),
        None => format!("{shown} is not set"),
    };
    refuse(item, kind, message, cx);
    None
}

fn from_file(table: &Table, cx: &mut Context<'_>) -> Option<Password> {
    let (item, kind) = given(table, "password_file")?;
    let name = string(item, kind, cx)?;
    let path = cx.sources.path(name);
    let message = if name.is_empty() {
        "empty: give the path of a file".to_owned()
    } else if !cx.sources.reads_files() {
        "files are not read here: load the configuration itself from a file".to_owned()
    } else {
        match sources::read_text(&path) {
            Ok(text) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                if !line.is_empty() {
                    cx.add_input(path.clone());
                    return Some(Password {
                        secret: Some(Secret::from(line)),
                        source: PasswordSource::File(path),
                    });
                }
                "the file is empty".to_owned()
            }
            Err(error) => format!("cannot be read: {error}"),
        }
    };
    refuse(item, kind, message, cx);
    None
}
