//! A password: in the file, in a variable, or in a file of its own.

use super::context::{Context, given};
use super::name;
use crate::plan::PasswordSource;
use crate::problem::Finding;
use crate::secret::Secret;
use crate::sources;
use crate::tree::Table;

const WAYS: [&str; 3] = ["password", "password_env", "password_file"];

/// A password, and where it was found.
#[derive(Clone)]
pub(super) struct Password {
    /// None where an empty one was given, which hides what would be inherited.
    pub(super) secret: Option<Secret>,
    pub(super) source: PasswordSource,
}

/// The password that a table gives, by whatever way.
pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Option<Password> {
    let ways: Vec<&str> = WAYS
        .into_iter()
        .filter(|way| table.contains_key(*way))
        .collect();
    if let [first, second, ..] = ways[..]
        && let Some(item) = table.get(second)
    {
        let message = format!(
            "a second way to give the password: remove it, or remove {}",
            cx.spell(first)
        );
        cx.report.add(&item.key_at, &item.path, message);
    }
    let inline = cx.text(table, "password").map(|password| Password {
        secret: (!password.is_empty()).then(|| Secret::from(password)),
        source: PasswordSource::Inline,
    });
    let of_variable = from_variable(table, cx);
    let of_file = from_file(table, cx);
    inline.or(of_variable).or(of_file)
}

fn from_variable(table: &Table, cx: &mut Context<'_>) -> Option<Password> {
    let (item, kind) = given(table, "password_env")?;
    let name = cx.string(item, kind)?;
    // What does not look like a name may be the password, given by mistake.
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
    let finding = Finding::new(message).allowed(kind.expected());
    cx.report.wrong(item, finding);
    None
}

fn from_file(table: &Table, cx: &mut Context<'_>) -> Option<Password> {
    let (item, kind) = given(table, "password_file")?;
    let name = cx.string(item, kind)?;
    let path = cx.sources.path(name);
    let message = if name.is_empty() {
        "empty: give the path of a file".to_owned()
    } else if !cx.sources.reads_files() {
        "no file is read here: load the configuration from a file itself".to_owned()
    } else {
        match sources::read_text(&path) {
            Ok(text) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                if !line.is_empty() {
                    cx.inputs_push(path.clone());
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
    let finding = Finding::new(message).allowed(kind.expected());
    cx.report.wrong(item, finding);
    None
}
